"""The journal as one page: no script, nothing loaded from anywhere, as readable on a phone as on paper. Pure."""

from collections import deque
from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from html import escape

from archiver import charts
from archiver.summary import Line, Summary, Tally, figures

LATEST = 200
"""Trades that the page lists; what came before them is in its figures and in `--csv`."""

COLUMNS = ("captured", "account", "instrument", "side", "lots", "state", "slippage", "net", "answered_ms")
HEADINGS = {"captured": "time (UTC)", "answered_ms": "ms to fill"}

STYLE = """
:root { color-scheme: light dark; --ink: #1c2430; --soft: #667085; --edge: #d9dee7; --back: #ffffff; --main: #2563eb;
  --good: #0a7d43; --bad: #c02626 }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #98a2b3; --edge: #344054; --back: #101623;
  --main: #6ea8fe; --good: #4cc38a; --bad: #ff8080 } }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; color: var(--ink); background: var(--back);
  font: 16px/1.45 system-ui, sans-serif }
h1 { font-size: 1.5rem; margin: 0 } h2 { margin: 2rem 0 .5rem; font-size: 1.2rem } h3 { font-size: 1rem }
p { color: var(--soft); margin: .2rem 0 }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .6rem; margin: 0 }
dl div { border: 1px solid var(--edge); border-radius: .5rem; padding: .5rem .7rem }
dt { color: var(--soft); font-size: .8rem } dd { margin: 0; font-weight: 600; overflow-wrap: anywhere }
svg { width: 100%; height: auto } svg text { fill: var(--soft); font: 17px system-ui, sans-serif }
.grid { stroke: var(--edge) } .line { fill: none; stroke: var(--main); stroke-width: 2 }
.area { fill: var(--main); opacity: .12 } .bar { fill: var(--main) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--edge); text-align: right; white-space: nowrap }
th { color: var(--soft); font-weight: 500 } .word { text-align: left } .good { color: var(--good) }
.bad { color: var(--bad) }
"""


class Page:
    """Takes the trades one by one; what it needs to keep does not grow with them."""

    def __init__(self) -> None:
        self.summary = Summary()
        self._latest: deque[Line] = deque(maxlen=LATEST)

    def add(self, line: Line) -> None:
        """Count a trade."""
        self.summary.add(line)
        self._latest.append(line)

    def text(self, period: str, made: datetime) -> str:
        """The whole page. `period` is what it covers, in words."""
        parts = [_head(period, made)]
        for account, tally in sorted(self.summary.accounts.items()):
            parts += _account(account, tally)
        if not self.summary.accounts:
            parts.append("<p>no trades</p>")
        parts += _table(self._latest)
        return "".join([*parts, "</body></html>\n"])


def _head(period: str, made: datetime) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        # An icon of its own keeps the browser from asking for one.
        '<link rel="icon" href="data:,">'
        f"<title>Trading journal, {escape(period)}</title><style>{STYLE}</style></head>"
        f"<body><h1>Trading journal</h1><p>{escape(period)} · made {made:%Y-%m-%d %H:%M} UTC by TradeCopier</p>"
    )


def _account(name: str, tally: Tally) -> Iterator[str]:
    yield f"<section><h2>{escape(name)}</h2><dl>"
    for title, value in figures(tally).items():
        yield f"<div><dt>{escape(title)}</dt><dd>{escape(value)}</dd></div>"
    yield "</dl>"
    drawings = {
        "Closed profit over time": charts.curve(tally.curve.points(), f"{name}: closed profit over time"),
        "Milliseconds from click to fill": charts.bars(
            tally.answered.classes, f"{name}: milliseconds from click to fill"
        ),
    }
    for title, drawing in drawings.items():
        if drawing:
            yield f"<h3>{escape(title)}</h3>{drawing}"
    yield from _denials(tally)
    yield "</section>"


def _denials(tally: Tally) -> Iterator[str]:
    if tally.denials:
        yield '<h3>Not copied</h3><table><tr><th class="word">result<th class="word">reason<th>times</tr>'
        for result, reason, count in tally.denials:
            yield f'<tr><td class="word">{escape(result)}<td class="word">{escape(reason)}<td>{count}</tr>'
        yield "</table>"


def _table(latest: Iterable[Line]) -> Iterator[str]:
    newest = sorted(latest, key=lambda line: line.captured, reverse=True)
    if not newest:
        return
    yield f'<h2>The latest {len(newest)} trades</h2><div class="wide"><table><tr>'
    for name in COLUMNS:
        yield f"<th{_kind(name)}>{escape(HEADINGS.get(name, name))}"
    yield "</tr>"
    for line in newest:
        yield "".join(["<tr>", *(_cell(name, getattr(line, name)) for name in COLUMNS), "</tr>"])
    yield "</table></div>"


def _cell(name: str, value: str | Decimal | datetime | None) -> str:
    match value:
        case None:
            return "<td>-"
        case datetime():
            return f'<td class="word">{value:%Y-%m-%d %H:%M:%S}'
        case Decimal() if name == "net":
            return f'<td class="{"bad" if value < 0 else "good"}">{value:+,.2f}'
        case Decimal():
            return f"<td>{round(value, 8).normalize():f}"
        case _:
            return f"<td{_kind(name)}>{escape(value)}"


def _kind(name: str) -> str:
    return ' class="word"' if name in {"captured", "account", "instrument", "side", "state"} else ""
