"""The command `bench` and the benchmarks in it; exit code 0 whenever it could measure, whatever the verdict."""

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

STOPPED = 130


@click.group()
def bench() -> None:
    """Measure on this machine, everything set up as a user has it, against a bare baseline."""


@bench.command()
@click.option("--orders", type=click.IntRange(min=1), default=2000, show_default=True, help="Orders in all.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=15, show_default=True, help="Pairs of runs that they are spread over."
)
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the result here, as JSON too."
)
def latency(orders: int, runs: int, json_file: Path | None) -> None:
    """From a trade's capture to order_send, against XADD -> blocked XREADGROUP on the same server."""
    from deploy.bench.latency import Bench, Wish
    from deploy.bench.report import Report, lines, record
    from deploy.fleet import folder_mode
    from deploy.local import STOP_GRACE_S
    from shared import process
    from shared.settings import PREFIX

    folder = Path(tempfile.mkdtemp(prefix="tradecopier-bench-"))
    folder.chmod(folder_mode())
    report: Report | None = None

    async def measure(stop: process.Stop) -> None:
        nonlocal report
        report = await Bench(stop, folder, Wish(orders=orders, runs=runs), say, progress).measure()

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # the bench has settings of its own
    logging.getLogger().setLevel(logging.WARNING)
    process.run(measure, "bench", grace=STOP_GRACE_S)
    shutil.rmtree(folder, ignore_errors=True)
    if report is None:
        raise SystemExit(STOPPED)
    for line in lines(report):
        say(line)
    if json_file is not None:
        write(json_file, record(report))


def say(line: str) -> None:
    """Print a line, in place of what `progress` shows."""
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)
    click.echo(line)


def progress(text: str) -> None:
    """Show where it stands, if somebody looks on."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text} …", nl=False, err=True)


def write(file: Path, found: object) -> None:
    """Write a result as JSON. Raises UserError when that cannot be."""
    import msgspec

    from shared.process import UserError

    try:
        file.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error
