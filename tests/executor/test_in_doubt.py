"""Whatever of a trader's story gets no answer, done or not: what waits for it leads to the source's total and side."""

import asyncio
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Margin
from executor.mt5.simulator.faults import Fault, FaultKind
from shared.facts import Fact, Model
from tests.executor.inside import Inside, now, own_time
from tests.executor.rig import account
from tests.executor.sources import key
from tests.executor.test_brokers import WIDE
from tests.executor.test_follow import COMBINATIONS, actions, story

D = Decimal
Deeds = list[tuple[str, int, Decimal]]
GRACE_S = 3.0
ANSWERS = ["", "", "not done", "done", "second not done", "second done"]
"""What comes back of the next request (or the one after it): nothing, though it was done or not."""
LEAST = D("0.01")
CROSSED: Deeds = [
    ("add", 1, LEAST),
    *[("add", 0, LEAST)] * 2,
    ("less", 0, LEAST),
    ("reject", 0, D("0.02")),
    ("add", 0, LEAST),
]
"""On a netting account what is left of an exit crosses to the other side, after the rest of it got no answer."""
TURNED_BACK: Deeds = [("add", 1, D("0.02")), ("less", 0, D("0.01")), ("reject", 0, D("0.02"))]
TURNED: Deeds = [("add", 0, D("0.2")), ("turn", 0, D("0.3")), ("less", 0, D("0.1"))]


class World:
    """A source and an account in a time of their own, in which a turn takes a second."""

    def __init__(self, margin: Margin) -> None:
        options = {"margin_mode": margin, "balance": D(10**7)}
        self.inside = Inside(account(limits=WIDE, window=1.0, deadline=1.0, grace=GRACE_S), **options)
        self.totals: dict[str, Decimal] = {}

    async def goes_through(self, facts: list[Fact], answers: list[str], pauses: list[int]) -> None:
        await self.inside.begin()
        for number, fact in enumerate(facts):
            if number < len(answers) and answers[number]:
                self.spoil(answers[number])
            self.totals[key(fact.exposure.position)] = fact.exposure.after.total
            await self.inside.follower.follow(f"{number + 1}-0", replace(fact, captured=now()), suspect=False)
            for _ in range(pauses[number] if number < len(pauses) else 0):
                await self.inside.turn()
        await self.inside.settle()
        await self.inside.turn()

    def spoil(self, answer: str) -> None:
        fault = Fault(kind=FaultKind.NONE, execute=not answer.endswith("not done"), skip=int(answer[:1] == "s"))
        self.inside.machine._faults.add(fault)

    def check(self) -> None:
        links = self.inside.keeper.book.links
        own = {name: links[name].own if name in links else D(0) for name in self.totals}
        assert own == self.totals
        positions = self.inside.machine.store.positions.values()
        held = sum((p.volume if p.type == 0 else -p.volume for p in positions), D(0))
        assert held == sum(own.values())


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(
    deeds=actions,
    answers=st.lists(st.sampled_from(ANSWERS), max_size=20),
    pauses=st.lists(st.integers(0, 5), max_size=20),
)
@example(deeds=TURNED, answers=["", "", "second not done"], pauses=[1, 1])
@example(deeds=TURNED, answers=["", "", "second done"], pauses=[1, 1])
@example(deeds=CROSSED, answers=[*[""] * 6, "second done", "not done", "done", "second not done"], pauses=[])
@example(deeds=TURNED_BACK, answers=["second not done"], pauses=[])
@settings(max_examples=40, deadline=None)
def test_the_account_ends_where_the_source_is(
    model: Model, margin: Margin, deeds: Deeds, answers: list[str], pauses: list[int]
) -> None:
    world = World(margin)
    with own_time(world.inside):
        asyncio.run(world.goes_through(story(model, deeds), answers, pauses))
    world.check()
