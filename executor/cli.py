"""The executor's commands."""

import os
from pathlib import Path

import click

POINTS = ("read", "decided", "fenced", "called", "committed")

OBSTACLES = 1
"""The exit code of a check that found something in the way."""

Point = tuple[str, int]


def _point(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Point | None:
    """A point of the protocol and the how manieth time it is reached."""
    from shared.points import parse

    try:
        return None if value is None else parse(value, POINTS)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def cli() -> None:
    """Follow facts on MetaTrader 5 accounts."""


@cli.command()
@click.option("--account", "accounts", multiple=True, help="Only this account (can be repeated; default: all).")
@click.option("--any", "simulated", is_flag=True, help="Every account with a simulated terminal that nobody works for.")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Made when every lane works, for a supervisor.")
@click.option("--die-at", callback=_point, hidden=True, help="End at once at this point of the protocol.")
@click.option("--pause-at", callback=_point, hidden=True, help="Stand still at this point until told to go on.")
@click.pass_obj
def run(
    config: Path,
    accounts: tuple[str, ...],
    *,
    simulated: bool,
    ready_file: Path | None,
    die_at: Point | None,
    pause_at: Point | None,
) -> None:
    """Follow facts until stopped.

    Several executors may name the same account: one works, the others stand by and take over. With --any an executor
    stands by for every simulated account, so that as many can be started as there are machines.
    """
    import signal

    import msgspec

    from executor import service
    from shared.points import signalling
    from shared.process import run as run_service

    if simulated and accounts:
        raise click.UsageError("--any takes every simulated account: leave --account out")
    plan = service.plan(config, os.environ, accounts, ready_file, simulated=simulated)
    if die_at is not None:
        plan = msgspec.structs.replace(plan, reach=signalling(*die_at, signal.SIGKILL))
    if pause_at is not None:
        plan = msgspec.structs.replace(plan, reach=signalling(*pause_at, signal.SIGSTOP))
    run_service(service.main(plan), "executor")


@cli.command()
@click.option("--account", "accounts", multiple=True, help="Only this account (can be repeated; default: all).")
@click.option("--instrument", "instruments", multiple=True, help="Look for this name of the source (can be repeated).")
@click.option("--trade", is_flag=True, help="Also trade the smallest volume, once of each kind; on demo accounts only.")
@click.pass_obj
def check(config: Path, accounts: tuple[str, ...], instruments: tuple[str, ...], *, trade: bool) -> None:
    """Show what stands between the accounts and copying: connection, rights, clock, symbols.

    Sends nothing without --trade. Exit code 1 when something is in the way.
    """
    import asyncio

    from executor.checkup import report
    from executor.settings import Settings
    from shared import settings

    own = settings.section(settings.read(config, os.environ), "executor", Settings)
    well = asyncio.run(report(own, accounts, instruments, trade=trade, show=click.echo))
    if not well:
        raise SystemExit(OBSTACLES)
