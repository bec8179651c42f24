"""The archiver's commands: `archiver run`, `migrate`, `verify` and `status`, and the trader's `journal`."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from archiver.progress import Progress

Form = Literal["csv", "json"]
DAY = click.DateTime(["%Y-%m-%d"])
FOUND = 1
"""The exit code when the archive is not as it was signed."""


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


@cli.command()
@click.option("--from", "first", type=DAY, help="Check signatures from this day on (UTC); numbers always as a whole.")
@click.option("--to", "last", type=DAY, help="… up to this day, included.")
@click.pass_obj
def verify(config: Path, first: datetime | None, last: datetime | None) -> None:
    """Check signatures, producers' numbers and every fact's ends: names what was changed, removed or added."""
    import asyncio

    from redis.exceptions import RedisError

    from archiver import audit
    from archiver.journal import midnight
    from archiver.settings import dsn
    from shared.addresses import redis_url
    from shared.settings import Redis, Security, keyring, read, section

    document = read(config, os.environ)
    redis = section(document, "redis", Redis)
    asked = audit.Audit(
        dsn=dsn(document),
        namespace=redis.namespace,
        keyring=keyring(section(document, "security", Security)).with_retired(),
        since=midnight(first),
        until=midnight(last, days=1),
    )
    progress, wrong = _progress("rows"), 0
    published = None
    with _answering():
        if redis.url is not None:
            try:
                published = asyncio.run(audit.published(redis_url(redis), redis.namespace))
            except (RedisError, OSError) as error:
                click.echo(f"not compared with Redis, which does not answer: {error}", err=True)
        for finding in audit.findings(asked, progress.seen, published or audit.NOTHING):
            progress.over()
            click.echo(finding.line())
            wrong += 1
    progress.over()
    passed = "every row is as it was signed, and no fact and no end of one is missing"
    click.echo(f"{wrong} finding{'s' if wrong > 1 else ''}" if wrong else passed)
    if wrong:
        click.get_current_context().exit(FOUND)


@cli.command()
@click.pass_obj
def status(config: Path) -> None:
    """Show what is archived, how much room a fact takes, and how long Redis has room."""
    import asyncio

    from redis.exceptions import RedisError

    from archiver import headroom, size
    from archiver.settings import dsn
    from shared import streams
    from shared.addresses import redis_url
    from shared.process import UserError
    from shared.settings import Redis, read, section

    document = read(config, os.environ)
    redis = section(document, "redis", Redis)

    async def measured(url: str) -> headroom.Usage:
        client = streams.connect(url)
        try:
            return await headroom.usage(client, streams.Keys(redis.namespace))
        finally:
            await client.aclose()

    with _answering():
        for line in size.lines(dsn(document)):
            click.echo(line)
    if redis.url is None:
        return
    try:
        click.echo(headroom.words(asyncio.run(measured(redis_url(redis)))))
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {error}") from error


def period(command: Callable[..., None]) -> Callable[..., None]:
    """The options that narrow a question to days, an account and an instrument."""
    for option in (
        click.option("--instrument", help="Only this instrument, by TradingView's name or the broker's."),
        click.option("--account", help="Only this account."),
        click.option("--to", "last", type=DAY, help="Last day (UTC), included."),
        click.option("--from", "first", type=DAY, help="First day (UTC), as in 2026-01-31."),
    ):
        command = option(command)
    return command


@click.command()
@period
@click.option("--csv", "form", flag_value="csv", help="Comma-separated values, exact.")
@click.option("--json", "form", flag_value="json", help="One JSON object per line, exact.")
@click.option("--summary", is_flag=True, help="Win rate, profit factor, latency, slippage, denials.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write one page with figures and charts into this file.",
)
@click.pass_obj
def journal(
    config: Path,
    first: datetime | None,
    last: datetime | None,
    account: str | None,
    instrument: str | None,
    form: Form | None,
    summary: bool,
    page: Path | None,
) -> None:
    """Show the trades: lots, prices, money and how long each copy took."""
    from archiver import digest
    from archiver import journal as trader
    from archiver.settings import dsn
    from shared.settings import Redis, read, section

    document = read(config, os.environ)
    question = trader.Question(
        namespace=section(document, "redis", Redis).namespace,
        first=first.date() if first else None,
        last=last.date() if last else None,
        account=account,
        instrument=instrument,
    )
    address = dsn(document)
    progress = _progress("trades", beside=page is None and not summary)
    with _answering():
        if page is not None:
            digest.write_page(page, address, question, progress, datetime.fromtimestamp(time(), UTC))
            click.echo(f"{page} is written")
        elif summary:
            for line in digest.told(address, question, progress, form or "table"):
                click.echo(line)
        else:
            shown = form or "table"
            found = trader.trades(address, question, trader.columns(shown))
            for line in trader.written(progress.counted(found), shown):
                click.echo(line)


@contextmanager
def _answering() -> Iterator[None]:
    """An archive that is away becomes one line that says so."""
    from archiver.patience import Away
    from shared.process import UserError

    try:
        yield
    except Away as error:
        raise UserError(f"postgres.dsn: the archive does not answer: {error}") from error


def _progress(noun: str, *, beside: bool = False) -> "Progress":
    """Shown where somebody looks on; `beside` an answer that streams, only when that goes elsewhere."""
    from archiver.progress import Progress

    looked_at = sys.stderr.isatty() and not (beside and sys.stdout.isatty())
    return Progress(noun, partial(click.echo, nl=False, err=True) if looked_at else lambda _: None, monotonic)
