"""The command `chaos`; exit code 1 when something was lost, doubled, silent or wrong."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click

T = TypeVar("T")

WIDTH = 4
ACTIONS, LONG_DAY = 100, 500
STOPPED = 130


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=25, show_default=True, help="How many trials.")
@click.option("--seed", "only", type=click.IntRange(min=0), help="Only this one, to see a failure again.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--width", type=click.IntRange(min=1), default=WIDTH, show_default=True, help="Trials side by side.")
@click.option(
    "--actions", type=click.IntRange(min=20), help=f"Actions per trial ({ACTIONS}; {LONG_DAY} in a rolling restart)."
)
@click.option("--rolling", is_flag=True, help="Instead: restart every service in turn during one long day.")
@click.option("--keep", is_flag=True, help="Keep logs and journals of failed trials.")
def chaos(
    seeds: int, only: int | None, first: int, width: int, actions: int | None, *, rolling: bool, keep: bool
) -> None:
    """Break everything while trades are copied, and see that none is lost, doubled or silent."""
    from deploy.chaos import report
    from deploy.chaos.suite import Suite
    from deploy.chaos.timing import SCALE, shipped
    from deploy.fleet import folder_mode
    from shared.settings import PREFIX

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # the trials have settings of their own
    logging.getLogger().setLevel(logging.ERROR)
    timing = shipped().over(SCALE)
    click.echo(f"{timing.line}: the shipped defaults, {SCALE:g} times faster")
    folder = Path(tempfile.mkdtemp(prefix="tradecopier-chaos-"))
    folder.chmod(folder_mode())
    numbers = list(range(first, first + seeds)) if only is None and not rolling else [only or 0]
    suite = Suite(folder, timing, actions or (LONG_DAY if rolling else ACTIONS), click.echo)
    try:
        results = asyncio.run(_until_stopped(suite.rolling(numbers[0]) if rolling else suite.run(numbers, width)))
    except asyncio.CancelledError:
        _clear(folder, keep=keep)
        bad = sum(not result.good for result in suite.results)
        click.echo(f"chaos: stopped; {len(suite.results)} of {len(numbers)} seeds were done, {bad} failed", err=True)
        sys.exit(STOPPED)
    for line in report.summary(results):
        click.echo(line)
    failed = [r for r in results if not r.good] or len(results) < len(numbers) or report.missed(results)
    _clear(folder, keep=bool(failed) and keep)
    sys.exit(1 if failed else 0)


async def _until_stopped(work: Coroutine[Any, Any, T]) -> T:
    """Its result. A first SIGINT or SIGTERM cancels it, so that it ends what it has started; a second one ends us."""
    task, loop = asyncio.ensure_future(work), asyncio.get_running_loop()

    def stop() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
        task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop)
    return await task


def _clear(folder: Path, *, keep: bool) -> None:
    if keep:
        click.echo(f"logs and journals are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
