"""The executor's commands."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import click

POINTS = ("read", "fenced", "called", "committed")


@click.group()
def cli() -> None:
    """Follow facts on MetaTrader 5 accounts."""


@cli.command()
@click.option("--account", "accounts", multiple=True, help="Only this account (can be repeated; default: all).")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Made when every lane works, for a supervisor.")
@click.option("--die-at", type=click.Choice(POINTS), hidden=True, help="End at once at this point of the protocol.")
@click.pass_obj
def run(config: Path, accounts: tuple[str, ...], ready_file: Path | None, die_at: str | None) -> None:
    """Follow facts until stopped."""
    import msgspec

    from executor import service
    from shared.process import run as run_service

    plan = service.plan(config, os.environ, accounts, ready_file)
    if die_at is not None:
        plan = msgspec.structs.replace(plan, reach=dying_at(die_at))
    run_service(service.main(plan), "executor")


def dying_at(point: str) -> Callable[[str], None]:
    """A hook that ends the process, without any clean-up, when `point` is reached."""

    def reach(name: str) -> None:
        if name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return reach
