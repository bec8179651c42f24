"""Pure: every reason that an outcome can carry, as the document that explains them to a trader.

`python -m executor.reasontable > docs/denials.md` writes it anew; a test holds the two together.
"""

import re
import sys
from collections.abc import Iterable, Iterator, Mapping

from executor.classify import TABLE, Meaning
from executor.mt5.api import retcode_text
from executor.reasons import TEXTS, Ignored, Obstacle, Reason

TO_DO: Mapping[Reason, str] = {
    Reason.UNMAPPED_SYMBOL: "`executor check --instrument NAME` suggests the symbol; write it in `symbols.map`",
    Reason.NO_SPECIFICATION: "look whether the terminal shows the symbol; the next order asks again",
    Reason.UNIT_UNKNOWN: "`quantity-unit` of the source",
    Reason.NO_STOP_LOSS: "`sizing.mode`, `limits.max-risk-percent`; or set a stop loss with the order",
    Reason.SIZE_UNKNOWN: "look at the symbol's price and the order's stop loss",
    Reason.SIZE_BELOW_MINIMUM: '`sizing.tiny = "minimum"`, or size larger',
    Reason.SIZE_ABOVE_MAXIMUM: "size smaller: one order of the broker's symbol takes no more",
    Reason.VOLUME_LIMIT: "the broker's own limit; close something or ask the broker",
    Reason.FOREIGN_POSITION: "close that position, or copy to an account of its own",
    Reason.ORDER_TYPE: '`pending-orders = "on-fill"`',
    Reason.TOO_OLD: "`limits.max-age`; trade it by hand if it is still wanted",
    Reason.NO_PRICE: "look whether the symbol is quoted: its market may be closed",
    Reason.PRICE_RAN_AWAY: "`limits.max-drift-percent`; trade it by hand if it is still wanted",
    Reason.SPREAD: "`limits.max-spread-percent`",
    Reason.LOTS_PER_ORDER: "`limits.max-lots-per-order`",
    Reason.LOTS_PER_SYMBOL: "`limits.max-lots-per-symbol`",
    Reason.LOTS: "`limits.max-lots`",
    Reason.POSITIONS: "`limits.max-positions`",
    Reason.ORDERS_PER_MINUTE: "`limits.max-orders-per-minute`",
    Reason.RISK: "`limits.max-risk-percent`",
    Reason.SYMBOL_DENIED: "`limits.symbols-allowed`, `limits.symbols-denied`",
    Reason.SIDE_DENIED: "`limits.sides`",
    Reason.OUTSIDE_HOURS: "`limits.hours`",
    Reason.DAILY_LOSS: "`limits.max-daily-loss-percent`; `tradecopier resume` when you want to go on",
    Reason.DRAWDOWN: "`limits.max-drawdown-percent`; `tradecopier resume` when you want to go on",
    Reason.STATE: "`tradecopier resume`",
    Reason.EXIT_OWED: "nothing: it opens when the close before it is done",
}
"""What the operator can do about each denial."""

MEANINGS: Mapping[Meaning, tuple[str, str]] = {
    Meaning.DONE: ("done", "done"),
    Meaning.PARTLY: ("a part is done, the rest is let go", "a part is done, the rest is owed"),
    Meaning.PLACED: ("followed until it fills", "followed until it fills"),
    Meaning.UNKNOWN: ("unresolved: searched before anything else", "looked at, and repeated until it is done"),
    Meaning.PRICE: ("again with a fresh price, then rejected", "again with a fresh price, then owed"),
    Meaning.FILLING: ("again in another mode, then rejected", "again in another mode, then owed"),
    Meaning.BUSY: ("again after a moment, then rejected", "again after a moment, then owed"),
    Meaning.LEVELS: ("opened without levels, which are owed", "owed"),
    Meaning.GONE: ("rejected", "already done"),
    Meaning.SAME: ("rejected", "owed; levels and orders are as asked already"),
    Meaning.REFUSED: ("rejected", "owed"),
}
"""What follows from a retcode, for an opening and for an exit."""


def document() -> str:
    """The whole document in Markdown."""
    return "\n".join((*_denials(), *_ignored(), *_obstacles(), *_retcodes()))


def _denials() -> Iterator[str]:
    yield "# Why a trade was not copied"
    yield ""
    yield "The result, the reason and its text are in every outcome: `tradecopier journal` shows them. This page is"
    yield "made from the code (`python -m executor.reasontable`)."
    yield ""
    yield "## denied: we refused an opening"
    yield ""
    yield "Closes, cancels and stops are never denied. Settings are those of `[executor.accounts.NAME]`."
    yield ""
    yield "One case looks like it: two positions of the source stand against each other on a netting account, and"
    yield "closing one of them would open the other one there. In `close-only` both are given up instead, nothing is"
    yield "traded, and the close says `state`."
    yield ""
    yield from _rows(("reason", "text", "what to do"), ((f"`{r}`", _text(r), TO_DO[r]) for r in Reason))


def _ignored() -> Iterator[str]:
    yield from ("", "## ignored: there was nothing to do", "")
    yield from _rows(("reason", "text"), ((f"`{r}`", _text(r)) for r in Ignored))


def _obstacles() -> Iterator[str]:
    yield from ("", "## rejected, owed, unresolved: what MetaTrader 5 said", "")
    yield "An opening that MetaTrader 5 refuses is `rejected`. An exit that it refuses is `owed`: tried again until it"
    yield "is done. When what is left of it is below the least volume that the broker takes (`invalid-volume`), that"
    yield "stays open, and the text says how much. What nobody knows is `unresolved`: it is found out before"
    yield "anything is sent again."
    yield ""
    yield from _rows(("reason", "text"), ((f"`{r}`", _text(r)) for r in Obstacle))


def _retcodes() -> Iterator[str]:
    yield from ("", "## The retcodes", "")
    yield "A code that is not here is `unresolved`."
    yield ""
    rows = (
        (str(int(c)), retcode_text(c), f"`{row.reason}`", *MEANINGS[row.meaning], row.why) for c, row in TABLE.items()
    )
    yield from _rows(("code", "MetaTrader 5 says", "reason", "an opening", "an exit", "because"), rows)
    yield ""


def _text(reason: Reason | Ignored | Obstacle) -> str:
    """A reason's text with its facts as names."""
    return re.sub(r"\{(\w+)\}", r"*\1*", TEXTS[reason])


def _rows(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (heading, ("---",) * len(heading), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.write(document())
