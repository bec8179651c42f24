"""Pure: may this step be taken now? Only openings are asked; an exit, a stop or a cancel passes whatever is said here.

Each guard is a function of the same question and gives the reason why not, or None. The first reason counts.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec import Struct

from executor.book import Book, Figures, Holding, Resting
from executor.instruments import MONEY_UNREADABLE, entry_price, is_reached, plain, risked
from executor.netting import uncovered
from executor.reasons import Denied, Reason
from executor.reference import shown_then
from executor.settings import Action, Hours, Limits
from executor.steps import Open, Opening, Rest, Step
from shared.facts import Fact

ZERO = Decimal(0)
MINUTE = timedelta(minutes=1)
STALE = timedelta(seconds=30)
"""Prices are read every second; one so old is what a terminal without a price has left."""


class Question(Struct, frozen=True, kw_only=True):
    """An opening that is about to be sent, with everything that decides about it."""

    step: Opening
    fact: Fact
    book: Book
    limits: Limits
    now: datetime
    recent: Sequence[datetime]

    @property
    def price(self) -> Decimal | None:
        """What the opening would cost now; a resting order has its own price."""
        if isinstance(self.step, Rest):
            return self.step.entry
        return entry_price(self.book.prices.get(self.step.symbol), self.step.side)


class Breach(Struct, frozen=True):
    """A limit on losses that is passed, and what the operator wants done about it."""

    denied: Denied
    action: Action


def guard(
    step: Step, fact: Fact, book: Book, limits: Limits, now: datetime, recent: Sequence[datetime]
) -> Denied | None:
    """Why a step must not be taken now, or None. None for every reducing and setting step.

    `recent` has the times at which openings were sent on this account, `now` is UTC.
    """
    if not isinstance(step, Opening):
        return None
    question = Question(step=step, fact=fact, book=book, limits=limits, now=now, recent=recent)
    return next((denied for check in GUARDS if (denied := check(question)) is not None), None)


def breach(figures: Figures, limits: Limits) -> Breach | None:
    """The loss limit that the account is past for certain, if any, with the action that the limits name."""
    denied = _lost(figures, figures.counted, limits) if figures.readable else None
    return Breach(denied, limits.on_breach) if denied is not None else None


def age_of(fact: Fact, now: datetime) -> Decimal:
    """For how many seconds an opening is known, at least: the clocks may differ by the fact's uncertainty."""
    return Decimal(str((now - fact.captured).total_seconds())) - Decimal(str(fact.uncertainty))


def _too_old(q: Question) -> Denied | None:
    age = age_of(q.fact, q.now)
    if age <= q.limits.max_age:
        return None
    return Denied(Reason.TOO_OLD, {"age": plain(age.quantize(Decimal("0.1"))), "limit": plain(q.limits.max_age)})


def _money_known(q: Question) -> Denied | None:
    if q.book.figures.readable:
        return None
    return Denied(Reason.SIZE_UNKNOWN, MONEY_UNREADABLE)


def _symbol(q: Question) -> Denied | None:
    allowed, denied = q.limits.symbols_allowed, q.limits.symbols_denied
    names = {q.step.symbol, q.fact.instrument}
    if names & denied or (allowed and not names & allowed):
        return Denied(Reason.SYMBOL_DENIED, {"symbol": q.step.symbol})
    return None


def _side(q: Question) -> Denied | None:
    return None if q.step.side in q.limits.sides else Denied(Reason.SIDE_DENIED, {"side": q.step.side})


def _hours(q: Question) -> Denied | None:
    windows = q.limits.windows()
    return None if not windows or any(within(w, q.now) for w in windows) else Denied(Reason.OUTSIDE_HOURS)


def _price_known(q: Question) -> Denied | None:
    """A price that the terminal has not told for long is none; a resting order has its own."""
    told = q.book.prices.get(q.step.symbol)
    stale = isinstance(q.step, Open) and told is not None and q.now - told.seen > STALE
    return Denied(Reason.NO_PRICE, {"symbol": q.step.symbol}) if q.price is None or stale else None


def _drift(q: Question) -> Denied | None:
    reference = _reference(q.step, q) if isinstance(q.step, Open) else None
    if reference is None or q.price is None:
        return None
    drift = abs(q.price - reference) / reference * 100
    if drift <= q.limits.max_drift_percent:
        return None
    facts = {"reference": plain(reference), "price": plain(q.price), "limit": plain(q.limits.max_drift_percent)}
    return Denied(Reason.PRICE_RAN_AWAY, {**facts, "drift": _percent(drift)})


def _reference(step: Open, q: Question) -> Decimal | None:
    if step.reference is not None:
        return step.reference
    return shown_then(q.book.earlier.get(step.symbol, ()), q.fact.captured, step.side)


def _spread(q: Question) -> Denied | None:
    price = q.book.prices.get(q.step.symbol)
    if price is None or isinstance(q.step, Rest):
        return None
    spread = (price.ask - price.bid) / price.ask * 100
    if spread <= q.limits.max_spread_percent:
        return None
    facts = {"symbol": q.step.symbol, "spread": _percent(spread), "limit": plain(q.limits.max_spread_percent)}
    return Denied(Reason.SPREAD, facts)


def _lots_per_order(q: Question) -> Denied | None:
    return _above(Reason.LOTS_PER_ORDER, q.step.volume, q.limits.max_lots_per_order, q.step.symbol)


def _lots_per_symbol(q: Question) -> Denied | None:
    lots = _open_lots(q.book, q.step.symbol) + q.step.volume
    return _above(Reason.LOTS_PER_SYMBOL, lots, q.limits.max_lots_per_symbol, q.step.symbol)


def _lots(q: Question) -> Denied | None:
    return _above(Reason.LOTS, _open_lots(q.book, None) + q.step.volume, q.limits.max_lots, q.step.symbol)


def _volume_limit(q: Question) -> Denied | None:
    """The broker's own limit counts positions and pending orders of one direction, ours or not."""
    rules = q.book.specifications.get(q.step.symbol)
    if rules is None or not rules.volume_limit:
        return None
    same = (x.volume for x in _standing(q.book, q.step.symbol) if x.side == q.step.side)
    lots = sum(same, ZERO) + q.step.volume
    facts = {"lots": plain(lots), "limit": plain(rules.volume_limit), "symbol": q.step.symbol}
    return Denied(Reason.VOLUME_LIMIT, facts) if lots > rules.volume_limit else None


def _positions(q: Question) -> Denied | None:
    count = len(q.book.holdings) + len(q.book.restings)
    if count < q.limits.max_positions:
        return None
    return Denied(Reason.POSITIONS, {"count": str(count), "limit": str(q.limits.max_positions)})


def _rate(q: Question) -> Denied | None:
    count = sum(1 for sent in q.recent if q.now - sent < MINUTE)
    if count < q.limits.max_orders_per_minute:
        return None
    return Denied(Reason.ORDERS_PER_MINUTE, {"count": str(count), "limit": str(q.limits.max_orders_per_minute)})


def _risk(q: Question) -> Denied | None:
    """Only where the limit is set; then an opening without a stop, or whose loss nobody knows, is denied too."""
    rules, equity = q.book.specifications.get(q.step.symbol), q.book.figures.equity
    price = q.book.prices.get(q.step.symbol) if isinstance(q.step, Open) else None
    if q.limits.max_risk_percent is None:
        return None
    if q.step.stop_loss is None:
        return Denied(Reason.NO_STOP_LOSS)
    money = None
    if rules and q.price is not None and equity > 0 and not is_reached(q.step.side, q.step.stop_loss, price):
        money = risked(q.step.side, q.step.volume, q.price, q.step.stop_loss, rules)
    if money is None:
        return Denied(Reason.SIZE_UNKNOWN, {"missing": "the loss at the stop", "symbol": q.step.symbol})
    percent = money / equity * 100
    facts = {"money": plain(round(money, 2)), "currency": q.book.figures.currency, "percent": _percent(percent)}
    limit = q.limits.max_risk_percent
    return Denied(Reason.RISK, {**facts, "limit": plain(limit)}) if percent > limit else None


def _loss(q: Question) -> Denied | None:
    """What no deal has explained yet counts against an opening; other limits wait for the deal."""
    figures = q.book.figures
    return None if q.limits.on_breach == "notify" else _lost(figures, min(figures.equity, figures.counted), q.limits)


GUARDS: tuple[Callable[[Question], Denied | None], ...] = (
    _too_old,
    _money_known,
    _symbol,
    _side,
    _hours,
    _price_known,
    _drift,
    _spread,
    _lots_per_order,
    _lots_per_symbol,
    _lots,
    _volume_limit,
    _positions,
    _rate,
    _risk,
    _loss,
)


def within(window: Hours, now: datetime) -> bool:
    """Whether `now` (UTC) lies in a window; one past midnight belongs to the day on which it starts."""
    clock, day = now.time(), now.weekday()
    if window.start < window.end:
        return day in window.days and window.start <= clock < window.end
    return (day in window.days and clock >= window.start) or ((day - 1) % 7 in window.days and clock < window.end)


def _lost(figures: Figures, equity: Decimal, limits: Limits) -> Denied | None:
    daily = _below(Reason.DAILY_LOSS, figures.day_start, equity, limits.max_daily_loss_percent)
    return daily or _below(Reason.DRAWDOWN, figures.peak, equity, limits.max_drawdown_percent)


def _below(reason: Reason, start: Decimal | None, equity: Decimal, limit: Decimal) -> Denied | None:
    if start is None or start <= 0:
        return None
    percent = (start - equity) / start * 100
    return Denied(reason, {"percent": _percent(percent), "limit": plain(limit)}) if percent >= limit else None


def _above(reason: Reason, lots: Decimal, limit: Decimal, symbol: str) -> Denied | None:
    return Denied(reason, {"lots": plain(lots), "limit": plain(limit), "symbol": symbol}) if lots > limit else None


def _open_lots(book: Book, symbol: str | None) -> Decimal:
    """Lots of positions and resting orders, ours or not, of one symbol or all.

    Of a netting position as much counts as it can come to by exits: those are not asked whether they may.
    """
    if book.margin == "hedging":
        return sum((x.volume for x in _standing(book, symbol)), ZERO)
    resting = sum((x.volume for x in _standing(book, symbol) if isinstance(x, Resting)), ZERO)
    traded = {held.symbol for held in book.holdings.values()} | {link.symbol for link in book.links.values()}
    symbols = traded if symbol is None else {symbol}
    return resting + sum((uncovered(each, book) for each in symbols), ZERO)


def _standing(book: Book, symbol: str | None) -> Iterator[Holding | Resting]:
    for holding in book.holdings.values():
        if symbol is None or holding.symbol == symbol:
            yield holding
    for resting in book.restings.values():
        if symbol is None or resting.symbol == symbol:
            yield resting


def _percent(number: Decimal) -> str:
    return plain(round(number, 2))
