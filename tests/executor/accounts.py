"""An account that does exactly what it is asked, for tests of decisions: no broker, no refusals, no delays.

It keeps positions and orders by MetaTrader 5's rules for its margin mode, and checks of every request that it has the
types which the vendor's package takes and volumes which the symbol allows.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from executor.book import Book, Figures, Holding, Link, Margin, Price, Resting, Specification
from executor.instruments import signed
from executor.parts import adopt_fill
from executor.requests import as_asked, request, taking
from executor.results import Already, Done, Result, StepResult
from executor.settings import Account, Simulated
from executor.settle import Settled, settle
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw
from executor.translate import Ignore, Plan, translate
from shared.facts import Fact, Side

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
ZERO = Decimal(0)

EURUSD = Specification(
    symbol="EURUSD",
    digits=5,
    point=Decimal("0.00001"),
    tick_size=Decimal("0.00001"),
    tick_value=Decimal(1),
    contract_size=Decimal(100000),
    volume_min=Decimal("0.01"),
    volume_max=Decimal(100),
    volume_step=Decimal("0.01"),
)
XAUUSD = replace(
    EURUSD, symbol="XAUUSD", digits=2, point=Decimal("0.01"), tick_size=Decimal("0.01"), contract_size=Decimal(100)
)
PRICES = {
    "EURUSD": Price(bid=Decimal("1.1"), ask=Decimal("1.10001"), seen=NOW),
    "XAUUSD": Price(bid=Decimal(2000), ask=Decimal("2000.1"), seen=NOW),
}


def settings(**fields: Any) -> Account:
    """An account's settings with what a test wants different."""
    return replace(Account(terminal=Simulated()), **fields)


def book(margin: Margin = "hedging", *, links: Iterable[Link] = (), rules: Specification = EURUSD) -> Book:
    """An empty account with 10,000 USD that knows EURUSD (by `rules`) and XAUUSD."""
    return Book(
        account="a",
        identity="1@Server",
        margin=margin,
        figures=Figures(currency="USD", balance=Decimal(10000), equity=Decimal(10000), margin_free=Decimal(10000)),
        specifications={"EURUSD": rules, "XAUUSD": XAUUSD},
        prices=PRICES,
        holdings={},
        restings={},
        links={link.key: link for link in links},
        symbols=frozenset({"EURUSD", "XAUUSD"}),
    )


def holding(ticket: int, side: Side = "buy", volume: str = "1", **fields: Any) -> Holding:
    """A position of EURUSD."""
    plain = Holding(
        ticket=ticket, identifier=ticket, symbol="EURUSD", side=side, volume=Decimal(volume), price=Decimal("1.1")
    )
    return replace(plain, **fields)


class PerfectAccount:
    """Follows facts by the code under test and keeps what comes of it in `book`."""

    def __init__(
        self, margin: Margin = "hedging", account: Account | None = None, rules: Specification = EURUSD
    ) -> None:
        self.book = book(margin, rules=rules)
        self.account = account or settings()
        self.asked: list[Step] = []
        self._tickets = 1000

    def follow(self, fact: Fact) -> Plan | Ignore:
        """Take every step of a fact and remember what came of it."""
        plan = translate(fact, self.book, self.account)
        before = self.book
        if isinstance(plan, Ignore):
            self.remember(fact, plan.link)
            return plan
        results = [StepResult(step, self.take(step)) for step in plan.steps]
        settled = settle(fact, plan, results)
        assert settled.debt is None, settled
        self.remember(fact, settled.link)
        again = translate(fact, before, self.account)
        assert again == plan, "the same fact and book must give the same plan"
        return plan

    def settled(self, fact: Fact, results: dict[str, Result]) -> Settled:
        """Follow a fact where some steps end as `results` says by their names; all others are done."""
        plan = translate(fact, self.book, self.account)
        assert isinstance(plan, Plan), plan
        given = [StepResult(s, results[s.name] if s.name in results else self.take(s)) for s in plan.steps]
        settled = settle(fact, plan, given)
        self.remember(fact, settled.link)
        return settled

    def take(self, step: Step) -> Done | Already:
        """Do what a step asks."""
        if as_asked(step, self.book):
            return Already()
        self.asked.append(step)
        self._check(step)
        self._tickets += 1
        match step:
            case Open():
                return self._trade(step.symbol, step.side, step.volume, step.stop_loss, step.take_profit)
            case Close() | Reduce():
                return self._take_off(step)
            case Rest():
                return self._rest(step)
            case Protect():
                found = self.book.holdings[step.ticket]
                self._hold(replace(found, stop_loss=step.stop_loss, take_profit=step.take_profit))
            case Move():
                resting = self.book.restings[step.ticket]
                moved = replace(resting, price=step.price, stop_loss=step.stop_loss, take_profit=step.take_profit)
                self.book = replace(self.book, restings={**self.book.restings, step.ticket: moved})
            case Withdraw():
                self._unrest(step.ticket)
        return Done(ticket=step.ticket)

    def fill(self, key: str, order: str) -> None:
        """Let the mirror of a source order fill whole."""
        link = self.book.links[key]
        pending = link.pendings[order]
        resting = self.book.restings[pending.ticket]
        self._unrest(pending.ticket)
        done = self._trade(
            link.symbol, pending.side, resting.volume, resting.stop_loss, resting.take_profit, pending.ticket
        )
        adopted = adopt_fill(link, order, pending.filled + resting.volume, done.identifier, margin=self.book.margin)
        self.book = replace(self.book, links={**self.book.links, key: adopted})

    def net(self, symbol: str = "EURUSD") -> Decimal:
        """Signed lots that the terminal shows."""
        held = (signed(h.side, h.volume) for h in self.book.holdings.values() if h.symbol == symbol)
        return sum(held, ZERO)

    def own(self, key: str) -> Decimal:
        """Signed lots that the link says are ours."""
        link = self.book.links.get(key)
        return link.own if link else ZERO

    def remember(self, fact: Fact, link: Link | None) -> None:
        """Keep what is to be remembered of the link that a fact is about; None forgets it."""
        key = f"{fact.source}/{fact.account}/{fact.exposure.position}"
        links = {k: known for k, known in self.book.links.items() if k != key}
        self.book = replace(self.book, links=links if link is None else {**links, key: link})

    def _trade(
        self,
        symbol: str,
        side: Side,
        volume: Decimal,
        stop_loss: Decimal | None = None,
        take_profit: Decimal | None = None,
        ticket: int = 0,
    ) -> Done:
        ticket = ticket or self._tickets
        position = Holding(
            ticket=ticket,
            identifier=ticket,
            symbol=symbol,
            side=side,
            volume=volume,
            price=Decimal("1.1"),
            stop_loss=stop_loss,
            take_profit=take_profit,
        )
        known = next((h for h in self.book.holdings.values() if h.symbol == symbol), None)
        if self.book.margin == "netting" and known is not None:
            total = signed(known.side, known.volume) + signed(side, volume)
            self._drop(known.ticket)
            position = replace(known, side="buy" if total > 0 else "sell", volume=abs(total))
            if stop_loss is not None or take_profit is not None:
                position = replace(position, stop_loss=stop_loss, take_profit=take_profit)
        if position.volume:
            self._hold(position)
        return Done(ticket=ticket, identifier=position.identifier, volume=volume)

    def _take_off(self, step: Close | Reduce) -> Done:
        found = self.book.holdings[step.ticket]
        assert found.side == step.side
        volume = taking(step, self.book)
        assert ZERO < volume <= found.volume
        self._drop(found.ticket)
        if found.volume > volume:
            self._hold(replace(found, volume=found.volume - volume))
        return Done(ticket=self._tickets, volume=volume)

    def _rest(self, step: Rest) -> Done:
        resting = Resting(
            ticket=self._tickets,
            symbol=step.symbol,
            type=step.type,
            side=step.side,
            volume=step.volume,
            price=step.price,
            stop_limit=step.stop_limit,
            stop_loss=step.stop_loss,
            take_profit=step.take_profit,
        )
        self.book = replace(self.book, restings={**self.book.restings, resting.ticket: resting})
        return Done(ticket=resting.ticket, volume=step.volume)

    def _hold(self, position: Holding) -> None:
        self.book = replace(self.book, holdings={**self.book.holdings, position.ticket: position})

    def _drop(self, ticket: int) -> None:
        self.book = replace(self.book, holdings={t: h for t, h in self.book.holdings.items() if t != ticket})

    def _unrest(self, ticket: int) -> None:
        self.book = replace(self.book, restings={t: r for t, r in self.book.restings.items() if t != ticket})

    def _check(self, step: Step) -> None:
        asked = request(step, self.book, 7, self.account, tag="fact").to_dict()
        floats = {"volume", "price", "stoplimit", "sl", "tp"}
        for name, value in asked.items():
            assert type(value) is (float if name in floats else str if name in {"symbol", "comment"} else int), name
            assert not isinstance(value, float) or math.isfinite(value)
        if isinstance(step, Open | Rest | Close | Reduce):
            rules = self.book.specifications[step.symbol]
            assert step.volume % rules.volume_step == 0, step
            assert step.volume <= rules.volume_max, step
            against_another_link = self.book.margin == "netting" and step.name in {"reduce", "cross"}
            assert step.volume >= rules.volume_min or against_another_link, step
