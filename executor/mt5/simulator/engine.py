"""The trade server: a request becomes a retcode and its effect. Pure; the clock is an argument.

`send` judges and executes one request, `check` only judges, `advance` lets time and prices do what they do. Everything
that happens is in the `Store` afterwards, and its change is what has to be kept.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from executor.mt5.codes import retcode_text
from executor.mt5.simulator import fills, triggers
from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.floor import Floor
from executor.mt5.simulator.judge import judged, known, modified
from executor.mt5.simulator.market import TICK_MS, Feed
from executor.mt5.simulator.store import ZERO, Order, Store
from executor.mt5.vocabulary import DealReason, OrderState, OrderType, Retcode, SymbolExecution, TradeAction

COMMENTS = {
    Retcode.DONE: "Request executed",
    Retcode.DONE_PARTIAL: "Request executed partially",
    Retcode.PLACED: "Request placed",
    Retcode.INVALID_PRICE: "Invalid price",
    Retcode.INVALID_STOPS: "Invalid stops",
    Retcode.INVALID_VOLUME: "Invalid volume",
    Retcode.CLIENT_DISABLES_AT: "AutoTrading disabled by client",
    Retcode.INVALID_FILL: "Unsupported filling mode",
    Retcode.MARKET_CLOSED: "Market closed",
    Retcode.NO_MONEY: "No money",
}
LOCAL = frozenset({Retcode.CLIENT_DISABLES_AT, Retcode.CONNECTION, Retcode.INVALID, Retcode.INVALID_FILL})
"""Refusals that the terminal gives by itself, before the server: their request id is 0."""


class Verdict(msgspec.Struct, frozen=True):
    """What `order_send` answers, without the echo of the request."""

    retcode: int
    deal: int = 0
    order: int = 0
    volume: Decimal = ZERO
    price: Decimal = ZERO
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    comment: str = ""
    request_id: int = 0


class Engine:
    """Judges and executes requests for the account in the store."""

    def __init__(self, store: Store, feed: Feed) -> None:
        self.store, self.feed = store, feed
        self._recent: deque[int] = deque()
        self._tick = -1

    def floor(self, now: int) -> Floor:
        return Floor(self.store, self.feed, now)

    def advance(self, now: int, *, moved: bool = False) -> None:
        """Trigger orders, levels, expirations, stop-out and swap up to `now` (milliseconds UTC).

        Prices stand still within one tick of the feed, so without a price `moved` by hand there is nothing to do then
        but the executions that are due.
        """
        tick = now // TICK_MS
        if moved or tick != self._tick or any(0 < each.due <= now for each in self.store.orders.values()):
            self._tick = tick
            triggers.advance(self.floor(now))

    def check(self, ask: Ask, now: int) -> Retcode | None:
        """The retcode with which the request would be refused now, or None."""
        floor = self.floor(now)
        return self._switches(floor) or known(floor, ask) or judged(floor, ask)

    def send(self, ask: Ask, now: int, reason: DealReason = DealReason.EXPERT) -> Verdict:
        """Execute the request, or say why not."""
        floor = self.floor(now)
        robot = reason == DealReason.EXPERT
        refused = (self._switches(floor) if robot else None) or known(floor, ask) or self._rate(now)
        refused = refused or judged(floor, ask)
        request_id = 0 if refused in LOCAL else self.store.next_number("request")
        if refused is not None:
            return Verdict(int(refused), comment=comment_of(refused), request_id=request_id)
        verdict = _EXECUTE[TradeAction(ask.action)](floor, self._signed(ask), reason)
        return replace(verdict, request_id=request_id, comment=comment_of(Retcode(verdict.retcode)))

    def _signed(self, ask: Ask) -> Ask:
        """Some brokers write their own comment over the client's."""
        written = self.store.settings.comment
        return ask if written is None else replace(ask, comment=written)

    def _switches(self, floor: Floor) -> Retcode | None:
        settings = floor.store.settings
        if not settings.algo_trading:
            return Retcode.CLIENT_DISABLES_AT
        if not settings.connected:
            return Retcode.CONNECTION
        return None if floor.account.trade_expert else Retcode.SERVER_DISABLES_AT

    def _rate(self, now: int) -> Retcode | None:
        limit = self.store.account.limit_rate
        while self._recent and self._recent[0] <= now - 1000:
            self._recent.popleft()
        if limit and len(self._recent) >= limit:
            return Retcode.TOO_MANY_REQUESTS
        self._recent.append(now)
        return None


def _order(floor: Floor, ask: Ask, reason: DealReason, state: OrderState) -> Order:
    return Order(
        ticket=floor.store.next_number("order"),
        symbol=ask.symbol,
        type=ask.type,
        volume=ask.volume,
        left=ask.volume,
        state=int(state),
        setup=floor.now,
        price=ask.price,
        stoplimit=ask.stoplimit,
        sl=ask.sl,
        tp=ask.tp,
        filling=ask.type_filling,
        time_type=ask.type_time,
        expiration=ask.expiration,
        magic=ask.magic,
        comment=ask.comment,
        reason=int(reason),
        position=ask.position,
    )


def _deal(floor: Floor, ask: Ask, reason: DealReason) -> Verdict:
    order = _order(floor, ask, reason, OrderState.STARTED)
    delay = floor.store.settings.fill_delay
    if delay:
        waiting = replace(order, state=int(OrderState.PLACED), due=floor.now + delay)
        floor.store.put("orders", order.ticket, waiting)
        return Verdict(int(Retcode.PLACED), order=order.ticket, volume=ask.volume)
    return _verdict(floor, order, triggers.execute(floor, order))


def _verdict(floor: Floor, order: Order, filled: Decimal) -> Verdict:
    """The answer to a market request of which `filled` lots were executed now."""
    if not filled:
        return Verdict(int(Retcode.REJECT), order=order.ticket)
    deal = next(deal for deal in reversed(floor.store.deals.values()) if deal.order == order.ticket)
    code = Retcode.DONE if filled == order.volume else Retcode.DONE_PARTIAL
    quote = floor.quote(order.symbol) if _is_instant(floor, order) else None
    bid, ask = (quote.bid, quote.ask) if quote else (ZERO, ZERO)
    return Verdict(int(code), deal.ticket, order.ticket, filled, deal.price, bid, ask)


def _is_instant(floor: Floor, order: Order) -> bool:
    return floor.store.symbols[order.symbol].execution < SymbolExecution.MARKET


def _pending(floor: Floor, ask: Ask, reason: DealReason) -> Verdict:
    order = _order(floor, replace(ask, position=0), reason, OrderState.PLACED)
    floor.store.put("orders", order.ticket, order)
    return Verdict(int(Retcode.DONE), order=order.ticket, volume=ask.volume)


def _modify(floor: Floor, ask: Ask, _reason: DealReason) -> Verdict:
    order = modified(floor.store.orders[ask.order], ask)
    floor.store.put("orders", order.ticket, order)
    return Verdict(int(Retcode.DONE), order=order.ticket)


def _remove(floor: Floor, ask: Ask, _reason: DealReason) -> Verdict:
    fills.end_order(floor, floor.store.orders[ask.order], OrderState.CANCELED)
    return Verdict(int(Retcode.DONE), order=ask.order)


def _set_levels(floor: Floor, ask: Ask, _reason: DealReason) -> Verdict:
    position = floor.store.positions.get(ask.position) or floor.held(ask.symbol)
    assert position is not None
    moved = replace(position, sl=ask.sl, tp=ask.tp, updated=floor.now)
    floor.store.put("positions", position.ticket, moved)
    return Verdict(int(Retcode.DONE))


def _close_by(floor: Floor, ask: Ask, reason: DealReason) -> Verdict:
    position, by = (floor.store.positions[ticket] for ticket in (ask.position, ask.position_by))
    volume = min(position.volume, by.volume)
    wanted = replace(ask, symbol=position.symbol, type=int(OrderType.CLOSE_BY), volume=volume, price=by.price)
    order = _order(floor, wanted, reason, OrderState.STARTED)
    deal = fills.close_by(floor, order, position, by)
    return Verdict(int(Retcode.DONE), deal.ticket, order.ticket, volume, deal.price)


def comment_of(code: Retcode) -> str:
    return COMMENTS.get(code, retcode_text(code))


_EXECUTE = {
    TradeAction.DEAL: _deal,
    TradeAction.PENDING: _pending,
    TradeAction.MODIFY: _modify,
    TradeAction.REMOVE: _remove,
    TradeAction.SLTP: _set_levels,
    TradeAction.CLOSE_BY: _close_by,
}
