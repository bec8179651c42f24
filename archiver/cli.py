"""The archiver's commands: `archiver run` and `archiver migrate`, and the trader's `journal`."""

import os
from datetime import datetime
from pathlib import Path
from typing import Literal

import click

Form = Literal["csv", "json"]


@click.group()
def cli() -> None:
    """Keep everything that happened in PostgreSQL."""


@cli.command()
@click.option("--name", default="", help="Tells archivers that share the work apart (default: this host's name).")
@click.option("--ready-file", type=click.Path(path_type=Path), help="Made when both servers answer, for a supervisor.")
@click.pass_obj
def run(config: Path, name: str, ready_file: Path | None) -> None:
    """Store facts and outcomes until stopped."""
    from functools import partial

    from archiver import service
    from shared.process import run as run_service

    plan = service.plan(config, os.environ, name=name, ready_file=ready_file)
    run_service(partial(service.serve, plan=plan), "archiver")


@cli.command()
@click.option("--check", is_flag=True, help="Only say whether the database is up to date (exit code 2 when it is not).")
@click.pass_obj
def migrate(config: Path, *, check: bool) -> None:
    """Bring the archive's tables up to date."""
    from archiver import migrate as tables
    from archiver.patience import Away
    from archiver.settings import dsn
    from shared.process import UserError
    from shared.settings import read

    address = dsn(read(config, os.environ))
    try:
        wrong = tables.complaint(tables.check(address)) if check else None
    except Away as error:
        raise UserError(f"postgres.dsn: the database does not answer: {error}") from error
    if wrong is not None:
        raise UserError(wrong)
    applied = [] if check else tables.migrate(address)
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("the archive is up to date")


@click.command()
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="First day (UTC), as in 2026-01-31.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="Last day (UTC), included.")
@click.option("--account", help="Only this account.")
@click.option("--instrument", help="Only this instrument, by TradingView's name or the broker's.")
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, exact.")
@click.option("--json", "form", flag_value="json", help="One JSON object per line, exact.")
@click.pass_obj
def journal(
    config: Path,
    first: datetime | None,
    last: datetime | None,
    account: str | None,
    instrument: str | None,
    form: Form | None,
) -> None:
    """Show the trades: lots, prices, money and how long each copy took."""
    from archiver import journal as trader
    from archiver.patience import Away
    from archiver.settings import dsn
    from shared.process import UserError
    from shared.settings import Redis, read, section

    document = read(config, os.environ)
    question = trader.Question(
        namespace=section(document, "redis", Redis).namespace,
        first=first.date() if first else None,
        last=last.date() if last else None,
        account=account,
        instrument=instrument,
    )
    try:
        for line in trader.written(trader.trades(dsn(document), question), form or "table"):
            click.echo(line)
    except Away as error:
        raise UserError(f"postgres.dsn: the archive does not answer: {error}") from error
