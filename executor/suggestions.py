"""Pure: which of a broker's symbols an instrument of the source probably is, as a proposal for `symbols.map`.

Nothing is traded on a suggestion: it is shown by `executor check`, and the operator writes the map. Where more than one
symbol fits, or none does, it says so.
"""

import re
from collections.abc import Iterable

from msgspec import Struct

ALIASES: tuple[frozenset[str], ...] = (
    frozenset({"XAUUSD", "GOLD"}),
    frozenset({"XAGUSD", "SILVER"}),
    frozenset({"US30", "DJ30", "WS30", "DJI", "USA30", "DJI30", "DOW30", "DOWJONES"}),
    frozenset({"NAS100", "US100", "USTEC", "USTECH", "NDX", "NDX100", "UT100", "USTECH100", "NASDAQ100"}),
    frozenset({"US500", "SPX500", "SP500", "SPX", "USA500"}),
    frozenset({"US2000", "RUSSELL2000", "RUS2000", "RTY"}),
    frozenset({"GER40", "DE40", "DAX40", "DAX", "GER30", "DE30", "DAX30"}),
    frozenset({"UK100", "FTSE100", "FTSE"}),
    frozenset({"JP225", "JPN225", "NI225", "NIKKEI225", "NIKKEI", "J225"}),
    frozenset({"USOIL", "WTI", "XTIUSD", "USWTI", "CRUDEOIL", "OILUSD"}),
    frozenset({"UKOIL", "BRENT", "XBRUSD", "UKBRENT"}),
    frozenset({"NATGAS", "NGAS", "XNGUSD", "NATURALGAS"}),
)
"""Names that brokers and TradingView use for the same thing. A currency that differs (USD, USDT) is never the same."""

STOCK_EXCHANGES = frozenset({
    "AMEX", "ARCA", "ASX", "BATS", "BCBA", "BER", "BIST", "BME", "BMFBOVESPA", "BMV", "BSE", "BVL", "CBOE", "CSE",
    "DUS", "EURONEXT", "FWB", "GETTEX", "HAM", "HAN", "HKEX", "HNX", "HOSE", "IDX", "JSE", "KRX", "LS", "LSE", "LSIN",
    "LSX", "MIL", "MOEX", "MUN", "MYX", "NASDAQ", "NEO", "NEWCONNECT", "NGM", "NSE", "NYSE", "NZX", "OMXCOP",
    "OMXHEX", "OMXSTO", "OSL", "OTC", "PSE", "SET", "SGX", "SIX", "SSE", "SWB", "SZSE", "TADAWUL", "TASE", "TPEX",
    "TRADEGATE", "TSE", "TSX", "TSXV", "TWSE", "UPCOM", "VIE", "XETR",
})  # fmt: skip
"""Where GOLD is a mining company: names of these exchanges have no aliases."""

_DECORATION = re.compile(
    r"(?<=[A-Z0-9])(?:Cash|Spot|Mini|Micro|[a-z]{1,5}|[.\-_+#!](?:[A-Za-z0-9]*|[A-Z]{3}-?\d\d)[+#]?|[+#!])$"
)
_CONTRACT = re.compile(
    r"[.\-_#](?:[FGHJKMNQUVXZ]\d{1,2}|(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)-?(?:\d\d)?)$", re.IGNORECASE
)
"""A future of one month: what it was last month is another symbol."""

_SHARE = re.compile(r"[.\-_#](?:US|OQ|N|NAS|NASDAQ|NYSE|NY|CA|TO|DE|UK|L|AU)$", re.IGNORECASE)
"""What brokers add to a company's shares: GOLD.US is a mining company."""


class Suggestion(Struct, frozen=True):
    """The one symbol that fits, or None with all that might."""

    instrument: str
    symbol: str | None
    candidates: tuple[str, ...] = ()


def suggest(instrument: str, symbols: Iterable[str]) -> Suggestion:
    """What `instrument` probably is among the terminal's `symbols`. A name that is the very same always wins."""
    exchange, _, name = instrument.rpartition(":")
    listed = sorted(set(symbols))
    if name in listed and exchange not in STOCK_EXCHANGES:
        return Suggestion(instrument, name, (name,))
    wanted = _plain(name)
    names = frozenset({wanted}) if exchange in STOCK_EXCHANGES else _same(wanted)
    fitting = tuple(symbol for symbol in listed if core(symbol) in names)
    by_name = tuple(symbol for symbol in fitting if core(symbol) == wanted)
    found = by_name or tuple(symbol for symbol in fitting if not _SHARE.search(symbol))
    sure = len(found) == 1 and exchange not in STOCK_EXCHANGES and not _CONTRACT.search(found[0])
    return Suggestion(instrument, found[0] if sure else None, fitting)


def core(symbol: str) -> str:
    """A broker's symbol without what it adds: `EURUSD.raw`, `EURUSDm`, `#EURUSD`, `EUR/USD` are all EURUSD."""
    name = symbol.lstrip("#.!_").replace("/", "")
    shorter = _DECORATION.sub("", name)
    return _plain(shorter if len(shorter) >= _SHORTEST else name)


_SHORTEST = 3


def _plain(name: str) -> str:
    return re.sub(r"[^A-Z0-9]", "", name.upper())


def _same(name: str) -> frozenset[str]:
    return next((group for group in ALIASES if name in group), frozenset({name}))
