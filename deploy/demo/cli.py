"""The command `demo`: set everything up, play the story, compare the books; exit code 0 when every trade was copied."""

import logging
import os
import shutil
import tempfile
from pathlib import Path

import click

STOPPED = 130


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running at the end, and say how to look at it.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="An empty folder for what the demo keeps (default: a temporary one, removed when all went well).",
)
def demo(keep: bool, data: Path | None) -> None:
    """Watch TradingView orders become MetaTrader 5 trades: a trader, a broker and two accounts, all simulated."""
    from deploy.demo.scenery import Scenery
    from deploy.demo.stage import Ended, Stage
    from deploy.directory import free_port
    from deploy.local import STOP_GRACE_S
    from shared import process
    from shared.settings import PREFIX

    ended, folder = Ended(None), _folder(data)

    async def play(stop: process.Stop) -> None:
        nonlocal ended
        click.echo("Starting Valkey, PostgreSQL, two simulated terminals, the executor, the archiver and the proxy …")
        place = Scenery(folder=folder, proxy_port=free_port())
        ended = await Stage(stop, place, click.echo).play(keep)

    try:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]  # the demo has settings of its own
        # The story is told on standard output; of the supervisor's own lines only what goes wrong is to be seen.
        logging.getLogger().setLevel(logging.WARNING)
        process.run(play, "demo", grace=STOP_GRACE_S)
    except SystemExit:
        ended = Ended(False)
        raise
    finally:
        if data is None:
            _clear(folder, look=ended.good is False)
    raise SystemExit({True: 0, False: 1, None: STOPPED}[ended.good])


def _clear(folder: Path, *, look: bool) -> None:
    """Remove what a demo kept, or say where it is when there is something to `look` at."""
    if look:
        click.echo(f"demo: its logs and data are left in {folder}; remove it when you have looked", err=True)
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _folder(wanted: Path | None) -> Path:
    from shared.process import UserError

    if wanted is None:
        from deploy.fleet import folder_mode

        made = Path(tempfile.mkdtemp(prefix="tradecopier-demo-"))
        made.chmod(folder_mode())
        return made
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        taken = any(wanted.iterdir())
    except OSError as error:
        raise UserError(
            f"{error.filename or wanted} cannot be used: {error.strerror}; choose another --data"
        ) from error
    if taken:
        raise UserError(f"{wanted} is not empty; the demo compares books that start empty, so give it a new folder")
    return wanted.resolve()
