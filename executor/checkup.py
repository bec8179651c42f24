"""Asks terminals what stands between them and copying, without trading: for `executor check`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from msgspec import Struct

from executor import checktable
from executor.bookkeeping import liveliest
from executor.brokerclock import BrokerClock
from executor.checktable import Instrument
from executor.instruments import wanted_symbol
from executor.mt5.api import Connected, Refused, SymbolInfo, Unknown
from executor.mt5.terminal import Terminal
from executor.service import chosen, credentials, terminal_of
from executor.settings import Account, Settings
from executor.suggestions import suggest
from executor.trial import trial

PATIENCE_S = 3.0
"""How long a price may take to move before the broker's clock counts as not known."""


class Checked(Struct, frozen=True):
    """The report on one account, whether nothing is wrong with it, and the symbol that a trial would trade."""

    lines: Sequence[str]
    well: bool
    symbol: str = ""


async def try_out(name: str, account: Account, symbol: str, clock: Callable[[], datetime]) -> Checked:
    """Trade the smallest volume of `symbol`, if this is a demo account."""
    async with opened(name, account) as (terminal, answer):
        if isinstance(answer, Refused):
            return Checked(checktable.refused(name, answer.line), well=False)
        tried = await trial(account, terminal, answer, symbol, clock)
    return Checked(checktable.tried(tried), well=not any(each.wrong for each in tried))


async def report(
    own: Settings,
    accounts: Sequence[str],
    instruments: Sequence[str],
    *,
    trade: bool,
    show: Callable[[str], None],
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> bool:
    """Check accounts one after the other, and say whether all is well. Raises SettingsError for what is not set."""
    well = True
    for name in chosen(own, accounts):
        account = own.accounts[name]
        checked = [await check(name, account, instruments, clock)]
        if trade and checked[0].symbol:
            checked.append(await try_out(name, account, checked[0].symbol, clock))
        for line in (line for each in checked for line in each.lines):
            show(line)
        show("")
        well = well and all(each.well for each in checked)
    return well


@asynccontextmanager
async def opened(name: str, account: Account) -> AsyncIterator[tuple[Terminal, Connected | Refused]]:
    """The account's terminal in a child process of its own, asked to connect."""
    terminal = terminal_of(account)
    await terminal.start()
    try:
        yield terminal, await terminal.connect(credentials(name, account))
    finally:
        await terminal.stop()


async def check(name: str, account: Account, instruments: Iterable[str], clock: Callable[[], datetime]) -> Checked:
    """Look at one account. `instruments` are names of the source to look for besides those in the settings."""
    async with opened(name, account) as (terminal, answer):
        if isinstance(answer, Refused):
            return Checked(checktable.refused(name, answer.line), well=False)
        symbols = await terminal.symbols()
        if isinstance(symbols, Unknown):
            return Checked(
                checktable.refused(name, f"the terminal does not tell its symbols: {symbols.text}"), well=False
            )
        names = dict.fromkeys((*account.symbols.map, *instruments))
        found = checktable.Account(
            name=name,
            live=account.live,
            account=answer.account,
            terminal=answer.terminal,
            clock=await _clock(terminal, symbols, clock),
            told=[obstacle.line for obstacle in answer.obstacles],
            instruments=[await _instrument(terminal, each, account, symbols) for each in names],
            unused=sorted(set(account.sizing.symbols) - {info.name for info in symbols}),
        )
    wrong = any(obstacle.wrong for obstacle in checktable.obstacles(found))
    quoted = [each.symbol for each in found.instruments if each.quoted]
    return Checked(checktable.lines(found), well=not wrong, symbol=next(iter((*quoted, *liveliest(symbols))), ""))


async def _instrument(terminal: Terminal, name: str, account: Account, symbols: Sequence[SymbolInfo]) -> Instrument:
    symbol = wanted_symbol(name, account.symbols)
    listed = [info.name for info in symbols]
    if symbol not in listed:
        return Instrument(name, symbol, None, suggestion=suggest(name, listed))
    await terminal.select(symbol)
    info, tick = await terminal.symbol(symbol), await terminal.tick(symbol)
    quoted = not isinstance(tick, Unknown) and bool(tick.bid and tick.ask)
    return Instrument(name, symbol, None if isinstance(info, Unknown) else info, quoted)


async def _clock(terminal: Terminal, symbols: Sequence[SymbolInfo], now: Callable[[], datetime]) -> BrokerClock:
    """The broker's clock, as soon as one of the liveliest prices moves."""
    clock, end = BrokerClock(), time.monotonic() + PATIENCE_S
    while clock.offset is None and time.monotonic() < end:
        for name in liveliest(symbols):
            tick = await terminal.tick(name)
            if not isinstance(tick, Unknown):
                clock = clock.ticked(name, tick.time_msc, now().timestamp())
        await asyncio.sleep(0.1)
    return clock
