"""Random stories of a trader at brokers of every kind: nothing is refused that another request would have got through,
and when the market is open again the account is where a model says.
"""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from executor import follower, payer
from executor.attempt import Grace
from executor.book import Margin
from executor.mt5.api import FillingFlag, SymbolExecution, SymbolTradeMode
from executor.mt5.simulator.market import Quote
from executor.settings import Limits
from shared.facts import Fact, Levels, Model, OrderModified, OrderPlaced
from tests.executor.inside import Inside, now
from tests.executor.rig import account
from tests.executor.sources import Source, key
from tests.executor.test_follow import COMBINATIONS, actions, story

D = Decimal
STOP = D("1.05")
LARGEST = D(100)
WIDE = Limits(
    max_age=D(10**6), max_drift_percent=D(100), max_spread_percent=D(100), max_lots=D(1000),
    max_lots_per_symbol=D(1000), max_lots_per_order=D(1000), max_positions=1000, max_orders_per_minute=10_000,
    max_daily_loss_percent=D(99), max_drawdown_percent=D(99),
)  # fmt: skip
LEGITIMATE = frozenset({"market-closed", "not-allowed", "symbol-off", "size-below-minimum", "size-above-maximum",
                        "volume-limit", "exit-owed", "broker-limit"})  # fmt: skip
"""What a broker of these kinds may refuse an opening for. That a request was formed wrongly is none of it."""


class Broker(Struct, frozen=True, kw_only=True):
    """The rules of one symbol at one broker."""

    execution: int
    filling: int
    step: Decimal
    least: int
    most: Decimal
    limit: Decimal
    stops: int
    freeze: int
    expiration: int

    def rules(self) -> dict[str, Any]:
        return {
            "execution": self.execution, "filling": self.filling, "volume_step": self.step,
            "volume_min": self.step * self.least, "volume_max": self.most, "volume_limit": self.limit,
            "stops_level": self.stops, "freeze_level": self.freeze,
            "expiration": self.expiration,
        }  # fmt: skip


brokers = st.builds(
    Broker,
    execution=st.sampled_from([int(mode) for mode in SymbolExecution]),
    filling=st.sampled_from([1, 2, 3, 3 | int(FillingFlag.BOC)]),
    step=st.sampled_from([D("0.01"), D("0.1"), D("0.001")]),
    least=st.sampled_from([1, 1, 2, 5]),
    most=st.sampled_from([LARGEST, D(2), D("0.5")]),
    limit=st.sampled_from([D(0), D(0), D(3)]),
    stops=st.sampled_from([0, 30]),
    freeze=st.sampled_from([0, 20]),
    expiration=st.integers(1, 15),
)
breaks = st.lists(st.sampled_from(["", "", "", "shut", "open", "closes", "full", "near", "away"]), max_size=14)


def with_orders(model: Model, deeds: list[tuple[str, int, Decimal]]) -> list[Fact]:
    """A story whose every deed is also that of a limit order: placed below the price, moved, filled or taken back."""
    source, facts = Source(model), list[Fact]()
    resting: list[tuple[str, str]] = []
    for number, (deed, which, quantity) in enumerate(deeds):
        position = "EURUSD" if model == "netting" else f"o{number}"
        if deed in {"add", "turn"} or not resting:
            facts += _lasting(source.rest(position, f"l{number}", quantity, levels=Levels(stop_loss=STOP)), which)
            resting.append((position, f"l{number}"))
        elif deed == "less":
            facts += _lasting(source.move(*resting[which % len(resting)], "1.08"), which)
        elif deed == "close":
            facts += source.fill(*resting.pop(which % len(resting)))
        else:
            facts += source.end(*resting.pop(which % len(resting)))
    for left in resting:
        facts += source.fill(*left)
    return facts


def _lasting(facts: list[Fact], which: int) -> list[Fact]:
    """Orders of facts that end tomorrow, or never."""
    tomorrow = now() + timedelta(days=1) if which else None
    orders = [fact for fact in facts if isinstance(fact, OrderPlaced | OrderModified)]
    return [replace(fact, order=replace(fact.order, expires=tomorrow)) for fact in orders]


class World:
    """A source, and an account at a broker."""

    def __init__(self, margin: Margin, broker: Broker) -> None:
        self.inside = Inside(
            account(limits=WIDE, window=30.0, deadline=30.0, grace=61.0), margin_mode=margin, balance=D(10**7)
        )
        self.broker = broker
        self.totals: dict[str, Decimal] = {}
        self.set(**broker.rules())
        self.price("1.10000")

    def set(self, **rules: Any) -> None:
        store = self.inside.machine.store
        store.put("symbols", "EURUSD", replace(store.symbols["EURUSD"], **rules))

    def price(self, bid: str) -> None:
        quote = Quote(bid=D(bid), ask=D(bid) + D("0.00002"), time=self.inside.link.now)
        self.inside.machine.store.put("quotes", "EURUSD", quote)

    def happens(self, event: str) -> None:
        """What the broker does meanwhile; `near` brings the price to where the stops of purchases are frozen."""
        match event:
            case "shut" | "open":
                self.set(open=event == "open")
            case "closes" | "full":
                self.set(trade_mode=int(SymbolTradeMode.CLOSEONLY if event == "closes" else SymbolTradeMode.FULL))
            case "near" | "away":
                self.price("1.09010" if event == "near" else "1.10000")

    async def follow(self, fact: Fact) -> None:
        self.totals[key(fact.exposure.position)] = fact.exposure.after.total
        await self.inside.follow(fact)

    async def ends(self) -> None:
        """Everything is possible again, and nothing stays unfinished."""
        for event in ("open", "full", "away"):
            self.happens(event)
        await self.inside.settle()
        await self.inside.turn()

    @property
    def own(self) -> dict[str, Decimal]:
        """Signed lots that are ours, by link."""
        return {name: link.own for name, link in self.inside.keeper.book.links.items()}

    @property
    def held(self) -> Decimal:
        """Signed lots that the broker shows."""
        return sum((p.volume if p.type == 0 else -p.volume for p in self.inside.machine.store.positions.values()), D(0))

    def check(self, *, exactly: bool) -> None:
        """The independent model: ours is the source's total, or less of it where openings were refused."""
        for outcome in self.inside.outcomes:
            assert outcome.result not in ("denied", "rejected") or outcome.reason in LEGITIMATE, outcome
        least = self.broker.step * self.broker.least
        loose = least * 2 if self.broker.least > 1 else least
        for name, total in self.totals.items():
            own = self.own.get(name, D(0))
            assert own == 0 if total == 0 else own * total >= 0, (name, own, total)
            assert abs(own) < abs(total) + loose, (name, own, total)
            assert not exactly or abs(own - total) < loose, (name, own, total)
        assert self.held == sum(self.own.values(), D(0))
        assert not self.inside.notices


async def told(world: World, facts: list[Fact], events: list[str], stop: Decimal | None = None) -> None:
    """The story of a trader, while his copier's broker does something else now and then."""
    await world.inside.begin()
    for number, fact in enumerate(facts):
        if number < len(events):
            world.happens(events[number])
        stopped = Levels(stop_loss=stop) if stop is not None and fact.exposure.after.total > 0 else fact.levels
        await world.follow(replace(fact, levels=stopped))
    await world.ends()


@pytest.fixture(autouse=True, scope="module")
def hasty() -> Iterator[None]:
    """Nothing waits here for a time that a real terminal would need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(payer, "FIRST_TRY_S", 0.0)
        patch.setattr(follower, "Grace", lambda _seconds: Grace(0.0))
        yield


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, broker=brokers, events=breaks, stop=st.sampled_from([None, D("1.09000")]))
@settings(max_examples=25, deadline=None)
def test_with_a_broker_of_any_kind_the_account_ends_where_the_source_is(
    model: Model,
    margin: Margin,
    deeds: list[tuple[str, int, Decimal]],
    broker: Broker,
    events: list[str],
    stop: Decimal | None,
) -> None:
    world = World(margin, broker)
    asyncio.run(told(world, story(model, deeds), events, stop))
    world.check(exactly=not any(events) and broker.most == LARGEST and not broker.limit)


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, broker=brokers, events=breaks)
@settings(max_examples=25, deadline=None)
def test_with_a_broker_of_any_kind_resting_orders_end_where_the_source_is(
    model: Model, margin: Margin, deeds: list[tuple[str, int, Decimal]], broker: Broker, events: list[str]
) -> None:
    world, events = World(margin, broker), ["" if event == "near" else event for event in events]
    asyncio.run(told(world, with_orders(model, deeds), events))
    world.check(exactly=not any(events) and broker.most == LARGEST and not broker.limit)
    assert not world.inside.machine.store.orders
