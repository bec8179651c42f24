"""The command `bench` and the benchmarks in it; exit code 0 whenever it could measure, whatever the verdict."""

import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from deploy.bench.measurement import Measurement
    from shared import process

R = TypeVar("R")
W = TypeVar("W")
STOPPED = 130


@click.group()
def bench() -> None:
    """Measure on this machine, everything set up as a user has it, against a bare baseline."""


def json_option(command: Callable[..., None]) -> Callable[..., None]:
    """The option that writes what was found for a machine to read."""
    option = click.option(
        "--json",
        "json_file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write the result here, as JSON too.",
    )
    return option(command)


@bench.command()
@click.option("--orders", type=click.IntRange(min=1), default=2000, show_default=True, help="Orders in all.")
@click.option(
    "--runs", type=click.IntRange(min=1), default=15, show_default=True, help="Pairs of runs that they are spread over."
)
@json_option
def latency(orders: int, runs: int, json_file: Path | None) -> None:
    """From a trade's capture to order_send, against XADD -> blocked XREADGROUP on the same server."""
    from deploy.bench.latency import Bench, Wish
    from deploy.bench.report import lines, record

    report = found_by(Bench, Wish(orders=orders, runs=runs))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--rows", type=click.IntRange(min=100), default=20_000, show_default=True, help="Rows in each run.")
@click.option("--runs", type=click.IntRange(min=1), default=11, show_default=True, help="Pairs of runs.")
@click.option("--batch", type=click.IntRange(1, 10_000), default=500, show_default=True, help="Rows in a batch.")
@click.option("--lone", type=click.IntRange(min=1), default=50, show_default=True, help="Lone trades.")
@json_option
def archive(rows: int, runs: int, batch: int, lone: int, json_file: Path | None) -> None:
    """Rows per second from the streams into PostgreSQL, against bare executemany and bare COPY of the same rows."""
    from deploy.bench.archive import Bench
    from deploy.bench.rates import Wish, lines, record

    report = found_by(Bench, Wish(rows=rows, runs=runs, batch=batch, lone=lone))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--trades", type=click.IntRange(min=1000), default=1_000_000, show_default=True, help="Trades in a year.")
@json_option
def journal(trades: int, json_file: Path | None) -> None:
    """How long a month's journal takes from an archive of many trades; making a million takes some ten minutes."""
    from deploy.bench.history import lines, measure, record

    found = measured(lambda stop, folder: measure(stop, folder, trades, progress))
    tell(lines(found), record(found), json_file)


@bench.command()
@click.option("--runs", type=click.IntRange(min=1), default=15, show_default=True, help="Runs, each on all ways.")
@click.option("--calls", type=click.IntRange(min=1), default=100, show_default=True, help="Calls of a kind in a run.")
@click.option("--connections", type=click.IntRange(min=1), default=30, show_default=True, help="New ones in a run.")
@json_option
def proxy(runs: int, calls: int, connections: int, json_file: Path | None) -> None:
    """The time inside the tap's hooks beside the proxy's own, per call, on kept and on new connections."""
    from deploy.bench.proxy import Bench, Wish
    from deploy.bench.shares import lines, record

    report = found_by(Bench, Wish(runs=runs, calls=calls, connections=connections))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--facts", type=click.IntRange(min=100), default=10_000, show_default=True, help="Facts that wait.")
@click.option("--runs", type=click.IntRange(min=1), default=6, show_default=True, help="Pairs of runs.")
@json_option
def drain(facts: int, runs: int, json_file: Path | None) -> None:
    """How fast waiting facts are worked off after a restart, against XREADGROUP and MULTI of XADD and XACK alone."""
    from deploy.bench.drain import Bench, Wish
    from deploy.bench.drained import lines, record

    report = found_by(Bench, Wish(facts=facts, runs=runs))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--accounts", type=click.IntRange(min=4), default=16, show_default=True, help="Accounts in one executor.")
@click.option("--orders", type=click.IntRange(min=4), default=30, show_default=True, help="Orders in each run.")
@click.option("--runs", type=click.IntRange(min=1), default=7, show_default=True, help="Pairs of runs.")
@json_option
def fanout(accounts: int, orders: int, runs: int, json_file: Path | None) -> None:
    """First and last fill of an order on many accounts, with and without a terminal that hangs; what one costs."""
    from deploy.bench.fanout import Bench, Wish
    from deploy.bench.fills import lines, record

    report = found_by(Bench, Wish(accounts=accounts, orders=orders, runs=runs))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--runs", type=click.IntRange(min=1), default=20, show_default=True, help="How often it is killed.")
@click.option(
    "--lease",
    type=click.FloatRange(min=1),
    default=10.0,
    show_default=True,
    help="Seconds; window, deadline and grace keep the shipped ratio to it.",
)
@json_option
def takeover(runs: int, lease: float, json_file: Path | None) -> None:
    """From kill -9 of the active executor to the standby's first call, under load."""
    from deploy.bench.takeover import Bench, Wish
    from deploy.bench.takeovers import lines, record

    report = found_by(Bench, Wish(runs=runs, lease=lease))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--orders", type=click.IntRange(min=1), default=100, show_default=True, help="Orders in each run.")
@click.option("--runs", type=click.IntRange(min=1), default=9, show_default=True, help="Runs.")
@json_option
def metrics(orders: int, runs: int, json_file: Path | None) -> None:
    """The time that counting takes on an executor's way from a fact to its commit, measured inside it."""
    from deploy.bench.metricshare import Bench, Wish, lines, record

    report = found_by(Bench, Wish(orders=orders, runs=runs))
    tell(lines(report), record(report), json_file)


@bench.command()
@click.option("--accounts", type=click.IntRange(min=1), default=100, show_default=True, help="Accounts that follow.")
@click.option("--facts", type=click.IntRange(min=1), default=50, show_default=True, help="Facts that each follows.")
@json_option
def shard(accounts: int, facts: int, json_file: Path | None) -> None:
    """What a fact costs the Redis server for each account that follows it."""
    from deploy.bench.scale import Wish, lines, measure

    found = measured(lambda stop, folder: measure(stop, folder, Wish(accounts=accounts, facts=facts), progress))
    tell(lines(found), found, json_file)


def found_by(bench: "type[Measurement[W, R]]", wish: W) -> R:
    """Run a benchmark."""
    return measured(lambda stop, folder: bench(stop, folder, wish, say, progress).measure())


def measured(measure: "Callable[[process.Stop, Path], Awaitable[R | None]]") -> R:
    """Run a measurement in a folder of its own and clear it away; ends the process when it was stopped."""
    from deploy.fleet import folder_mode
    from deploy.local import STOP_GRACE_S
    from shared import process
    from shared.settings import PREFIX

    folder = Path(tempfile.mkdtemp(prefix="tradecopier-bench-"))
    folder.chmod(folder_mode())
    found: R | None = None

    async def act(stop: process.Stop) -> None:
        nonlocal found
        found = await measure(stop, folder)

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # the bench has settings of its own
    logging.getLogger().setLevel(logging.WARNING)
    process.run(act, "bench", grace=STOP_GRACE_S)
    shutil.rmtree(folder, ignore_errors=True)
    if found is None:
        raise SystemExit(STOPPED)
    return found


def tell(lines: Iterable[str], record: object, json_file: Path | None) -> None:
    """Print a result and, where it is wanted, write it."""
    for line in lines:
        say(line)
    if json_file is not None:
        write(json_file, record)


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
