"""`tradecopier journal`: the trader's journal, and `journal verify`, which asks each terminal whether it is true.

The archive knows nothing of terminals and the executor nothing of the archive; here the two meet. The terminal is asked
through a child process of its own, beside the one that trades, and nothing is sent to it but a question.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import time

import click

from archiver.cli import DAY, FOUND
from archiver.cli import journal as trades
from deploy.nearby import at_hand, nearby
from executor.settings import Account, Simulated
from shared.outcomes import Deal
from shared.process import UserError

History = Callable[[datetime, datetime], Awaitable[Sequence[Deal]]]
"""The deals of one account in a period, by the broker's clock; the end is excluded."""

DEFAULT = "trades"


class Journal(click.Group):
    """Without a command it shows the trades: `journal --csv` is `journal trades --csv`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        named = bool(args) and (args[0] in self.commands or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else [DEFAULT, *args])


@click.group(cls=Journal)
def journal() -> None:
    """The trades: as a list, as figures, as a page (`journal trades --help`); and whether they are true (`verify`)."""


journal.add_command(nearby(trades), DEFAULT)


@journal.command()
@click.option("--from", "first", type=DAY, help="First day, by the broker's clock (default: the last 30 days).")
@click.option("--to", "last", type=DAY, help="Last day, included (default: today).")
@click.option("--account", "only", help="Only this account.")
@click.pass_obj
def verify(config: Path, first: datetime | None, last: datetime | None, only: str | None) -> None:
    """Compare the archive's deals with each terminal's history; deals from before TradeCopier came are not archived."""
    from archiver.patience import Away
    from archiver.settings import dsn
    from executor.settings import Settings
    from shared.settings import Redis, read, section

    environment = {**os.environ, **at_hand(config, os.environ)}
    document = read(config, environment)
    accounts = section(document, "executor", Settings).accounts
    if only is not None and only not in accounts:
        raise UserError(f"there is no [executor.accounts.{only}]; there are: {', '.join(sorted(accounts)) or 'none'}")
    namespace, address = section(document, "redis", Redis).namespace, dsn(document)
    since, until = period(first, last, datetime.fromtimestamp(time(), UTC))
    wrong = 0
    for name in [only] if only is not None else sorted(accounts):
        try:
            for line in asyncio.run(compared(name, accounts[name], address, namespace, since, until)):
                click.echo(line)
                wrong += 1
        except Away as error:
            raise UserError(f"postgres.dsn: the archive does not answer: {error}") from error
    click.echo(f"{wrong} difference{'s' if wrong > 1 else ''}" if wrong else "the archive and the terminals agree")
    if wrong:
        click.get_current_context().exit(FOUND)


def period(first: datetime | None, last: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """From the first day's beginning to the last day's end. A broker's clock may be up to a day ahead of ours."""
    today = datetime(now.year, now.month, now.day, tzinfo=UTC)
    since = first.replace(tzinfo=UTC) if first else today - timedelta(days=30)
    return since, (last.replace(tzinfo=UTC) if last else today + timedelta(days=1)) + timedelta(days=1)


async def compared(
    name: str, account: Account, dsn: str, namespace: str, since: datetime, until: datetime
) -> list[str]:
    """The differences of one account, a line each. Raises Away, and UserError when the terminal gives no answer."""
    async with history(name, account) as told:
        deals = await told(since, until)
    return await asyncio.to_thread(lambda: list(_lines(name, deals, dsn, namespace, since, until)))


def _lines(
    name: str, deals: Sequence[Deal], dsn: str, namespace: str, since: datetime, until: datetime
) -> Iterator[str]:
    from archiver.deals import archived, differences

    for difference in differences(name, archived(dsn, namespace, name, since, until), deals):
        yield difference.line()


@asynccontextmanager
async def history(name: str, account: Account) -> AsyncIterator[History]:
    """A terminal's history, while it is open. Raises UserError when the terminal cannot be reached."""
    from executor import service
    from executor.deals import is_trade, observation
    from executor.mt5.answers import Connected, Unknown
    from executor.mt5.terminal import Terminal

    module = service.SIMULATOR if isinstance(account.terminal, Simulated) else service.VENDOR
    terminal = Terminal(module, account.terminal.child_command)

    async def asked(since: datetime, until: datetime) -> list[Deal]:
        found = await terminal.history_deals(int(since.timestamp()), int(until.timestamp()))
        if isinstance(found, Unknown):
            raise UserError(f"account {name}: the terminal's history gives no answer: {found.text}")
        seen = datetime.fromtimestamp(time(), UTC)
        told = [observation(deal, name, seen) for deal in found if is_trade(deal)]
        return [deal for deal in told if since <= deal.time < until]

    await terminal.start()
    try:
        connected = await terminal.connect(service.credentials(name, account))
        if not isinstance(connected, Connected):
            raise UserError(f"account {name}: the terminal cannot be asked: {connected.line}")
        yield asked
    finally:
        await terminal.stop()
