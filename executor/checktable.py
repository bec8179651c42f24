"""Pure: what was found out about an account, as a table for a terminal window and the obstacles in a trader's words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from executor.brokerclock import BrokerClock, zone
from executor.mt5.api import (
    AccountInfo,
    AccountMarginMode,
    AccountTradeMode,
    FillingFlag,
    SymbolExecution,
    SymbolInfo,
    SymbolTradeMode,
    TerminalInfo,
)
from executor.suggestions import Suggestion

LARGEST_SKEW_S = 5.0
"""A clock that is off by more deserves a word: the age of an order is counted on it."""

MARGINS: Mapping[int, str] = {
    AccountMarginMode.RETAIL_HEDGING: "hedging",
    AccountMarginMode.RETAIL_NETTING: "netting",
    AccountMarginMode.EXCHANGE: "netting (exchange)",
}
KINDS: Mapping[int, str] = {
    AccountTradeMode.DEMO: "demo",
    AccountTradeMode.CONTEST: "contest",
    AccountTradeMode.REAL: "REAL MONEY",
}
EXECUTIONS = {mode.value: mode.name.lower() for mode in SymbolExecution}
HEADINGS = ("instrument", "symbol", "execution", "filling", "lots from", "step", "to", "stops level", "trading")


class Obstacle(Struct, frozen=True):
    """Something to know. `wrong`: copying would not work as it should; else it is only worth a look."""

    text: str
    wrong: bool = True


class Instrument(Struct, frozen=True):
    """A name of the source and what the account makes of it.

    `symbol` is the broker's name by the settings; `info` its rules, None when the terminal does not list it;
    `suggestion` is what it probably is when the settings lead nowhere.
    """

    name: str
    symbol: str
    info: SymbolInfo | None
    quoted: bool = False
    suggestion: Suggestion | None = None


class Tried(Struct, frozen=True):
    """One thing that was tried; `wrong` says what was not as it should be, empty when all was well."""

    what: str
    wrong: str = ""


class Account(Struct, frozen=True, kw_only=True):
    """One account that could be asked. `unused` are symbols with a sizing of their own that the terminal lists not."""

    name: str
    live: bool
    account: AccountInfo
    terminal: TerminalInfo
    clock: BrokerClock
    told: Sequence[str]
    instruments: Sequence[Instrument]
    unused: Sequence[str] = ()


def lines(found: Account) -> list[str]:
    """The whole report: what there is, the symbols, and the obstacles with what to do about each."""
    return [found.name, *_indented(_facts(found)), *_indented(_symbols(found)), *_indented(_said(obstacles(found)))]


def obstacles(found: Account) -> list[Obstacle]:
    """Everything in the way of copying to the account, the most general first."""
    told = (Obstacle(line) for line in found.told)
    return [*told, *_mode(found), *_clock(found), *_instruments(found), *_sizes(found)]


def refused(name: str, line: str) -> list[str]:
    """The report of an account that could not be asked."""
    return [name, f"  connection  none: {line}"]


def tried(found: Iterable[Tried]) -> list[str]:
    """What came of a trial."""
    rows = [(each.what, f"WRONG: {each.wrong}" if each.wrong else "ok") for each in found]
    return list(_indented(["", "tried", *table(rows)]))


def _facts(found: Account) -> list[str]:
    account, terminal = found.account, found.terminal
    algo = account.trade_expert and terminal.trade_allowed and not terminal.tradeapi_disabled
    rows = [
        ("connection", f"{terminal.name}, build {terminal.build}, {'online' if terminal.connected else 'OFFLINE'}"),
        ("account", f"{account.login} at {account.server} ({account.company}), {_named(KINDS, account.trade_mode)}"),
        ("money", f"balance {account.balance:.2f} {account.currency}, equity {account.equity:.2f}"),
        ("leverage", f"1:{account.leverage}"),
        ("margin mode", _named(MARGINS, account.margin_mode) + (", first in first out" if account.fifo_close else "")),
        ("algo trading", "on" if algo else "OFF"),
        ("copying", "live" if found.live else "shadow: everything is computed, nothing is sent"),
        ("clock", _zone(found.clock)),
    ]
    return table(rows)


def _zone(clock: BrokerClock) -> str:
    if clock.offset is None:
        return "not known: no price moved while we looked"
    return f"{zone(clock.offset)}, {abs(clock.skew):.1f} s beside this computer's"


def _symbols(found: Account) -> list[str]:
    rows = [_symbol(each) for each in found.instruments]
    return ["", *table([HEADINGS, *rows])] if rows else []


def _symbol(each: Instrument) -> tuple[str, ...]:
    info = each.info
    if info is None:
        suggestion = each.suggestion
        if suggestion is None or not suggestion.candidates:
            return (each.name, "none")
        return (each.name, f"{suggestion.symbol}?" if suggestion.symbol else "unsure")
    volumes = (f"{info.volume_min:g}", f"{info.volume_step:g}", f"{info.volume_max:g}")
    execution = EXECUTIONS.get(info.trade_exemode, str(info.trade_exemode))
    return (each.name, info.name, execution, filling(info), *volumes, str(info.trade_stops_level), _trading(info))


def filling(info: SymbolInfo) -> str:
    """The filling modes that a symbol allows, in MT5's words."""
    if info.trade_exemode in (SymbolExecution.REQUEST, SymbolExecution.INSTANT):
        return "FOK"
    names = [flag.name or "" for flag in FillingFlag if info.filling_mode & flag]
    if info.trade_exemode == SymbolExecution.EXCHANGE:
        names.append("RETURN")
    return "+".join(names) or "none said"


def _trading(info: SymbolInfo) -> str:
    if not info.trade_mode:
        return "OFF"
    return "" if info.trade_mode == SymbolTradeMode.FULL else _named(_TRADING, info.trade_mode)


_TRADING: Mapping[int, str] = {
    SymbolTradeMode.LONGONLY: "buys only",
    SymbolTradeMode.SHORTONLY: "sells only",
    SymbolTradeMode.CLOSEONLY: "closes only",
    SymbolTradeMode.FULL: "all",
}


def _mode(found: Account) -> Iterator[Obstacle]:
    if not found.live:
        where = f"[executor.accounts.{found.name}]"
        yield Obstacle(f'Nothing will be sent before you write mode = "live" under {where}.', wrong=False)


def _clock(found: Account) -> Iterator[Obstacle]:
    clock = found.clock
    if clock.offset is None:
        text = "The broker's time zone is not known yet, as always while the market is closed; until it is, orders"
        yield Obstacle(f"{text} that expire at the source are removed when the source says so.", wrong=False)
    elif abs(clock.skew) > LARGEST_SKEW_S:
        text = f"This computer's clock and the broker's are {abs(clock.skew):.0f} s apart:"
        yield Obstacle(f"{text} switch on time synchronisation, or orders count as older than they are.")


def _instruments(found: Account) -> Iterator[Obstacle]:
    for each in found.instruments:
        info, symbol = each.info, each.symbol
        if info is None:
            yield Obstacle(_unmapped(each, found.name))
        elif info.trade_mode == SymbolTradeMode.DISABLED:
            yield Obstacle(f"The broker has switched trading of {symbol} off: choose another symbol for {each.name}.")
        elif info.trade_mode != SymbolTradeMode.FULL:
            yield Obstacle(f"{symbol}: the broker allows {_trading(info)}; other orders will be refused.")
        elif not each.quoted:
            yield Obstacle(f"{symbol} has no price now, as when its market is closed.", wrong=False)


def _sizes(found: Account) -> Iterator[Obstacle]:
    for symbol in found.unused:
        where = f"[executor.accounts.{found.name}.sizing.symbols.{symbol}]"
        yield Obstacle(f"{where} is never used: the terminal lists no {symbol}; name the broker's symbol there.")


def _unmapped(each: Instrument, account: str) -> str:
    where, suggestion = f"[executor.accounts.{account}.symbols.map]", each.suggestion
    if suggestion is not None and suggestion.symbol is not None:
        line = f'"{each.name}" = "{suggestion.symbol}"'
        return f"{each.name} is probably {suggestion.symbol}: if so, write {line} under {where}."
    if suggestion is not None and suggestion.candidates:
        might = ", ".join(suggestion.candidates)
        return f"{each.name} could be {might}: look which one it is and write it under {where}."
    listed = f"{each.name} leads to {each.symbol}, which the terminal does not list"
    return f"{listed}: name the broker's symbol under {where}."


def _said(found: Sequence[Obstacle]) -> list[str]:
    """Notes and obstacles, each marked by what it is."""
    if not found:
        return ["", "Nothing is in the way."]
    return ["", *(f"{'!' if each.wrong else '-'} {each.text}" for each in found)]


def table(rows: Iterable[Sequence[str]]) -> list[str]:
    """Rows as lines with their columns below one another."""
    cells = list(rows)
    widths = [max(len(row[i]) for row in cells if i < len(row)) for i in range(max(map(len, cells), default=0))]
    return ["  ".join(cell.ljust(widths[i]) for i, cell in enumerate(row)).rstrip() for row in cells]


def _indented(text: Iterable[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in text)


def _named(names: Mapping[int, str], number: int) -> str:
    return names.get(number, str(number))
