"""What may have been sent is looked for, and believed absent only after a whole grace."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor import marks
from executor.attempt import Attempt, Grace
from executor.book import Link, Part, Pending
from executor.change import Work
from executor.mt5.simulator.faults import FaultKind
from executor.reasons import Obstacle
from executor.results import Already, Done, Owed, Rejected
from executor.search import Search
from executor.steps import Close, Open, Protect, Reduce, Step, Withdraw
from tests.executor.rig import ACCOUNT, GRACE_S, KEYS, PATIENCE_S, Simulator, Source, ended, running
from tests.shared.samples import placed

D = Decimal
IDENTITY = "1@Demo"
HALF = Part(ticket=1, identifier=1, volume=D("0.1"), side="buy")


def attempt(*steps: Step, grace: float = 60.0) -> Attempt:
    return Attempt(
        work=Work(fact="f"),
        meaning="m",
        fact=placed(),
        link="l",
        steps=list(steps),
        grace=Grace(grace),
        read=datetime.now(UTC),
        suspect=True,
    )


def opening() -> Open:
    return Open(name="open", link="l", symbol="EURUSD", side="buy", volume=D("0.1"))


def closing(ticket: int, name: str = "close:1") -> Close:
    return Close(name=name, link="l", ticket=ticket, symbol="EURUSD", side="buy", volume=D("0.1"))


def reducing(ticket: int, floor: str) -> Reduce:
    return Reduce(
        name="reduce:1", link="l", ticket=ticket, symbol="EURUSD", side="buy", volume=D("0.04"), floor=D(floor)
    )


def bought(simulator: Simulator, magic: int = 0) -> int:
    ticket: int = simulator.trade(action=1, symbol="EURUSD", volume=0.1, type=0, magic=magic)["order"]
    return ticket


def closed(simulator: Simulator, ticket: int, volume: float, magic: int = 0) -> None:
    simulator.trade(action=1, symbol="EURUSD", volume=volume, type=1, position=ticket, magic=magic)


def mark(step: str) -> int:
    return marks.candidates(IDENTITY, "m", step)[2]


async def test_an_opening_is_found_by_its_mark(simulator: Simulator) -> None:
    ticket = bought(simulator, mark("open"))

    async with simulator.keeper() as (_, keeper):
        found = await Search(keeper).search(attempt(opening()), opening())

    assert isinstance(found, Done)
    assert (found.identifier, found.volume, found.mark) == (ticket, D("0.1"), mark("open"))


async def test_an_opening_that_does_not_show_stays_unknown_until_the_grace_is_over(simulator: Simulator) -> None:
    sought = attempt(opening(), grace=0.3)

    async with simulator.keeper() as (_, keeper):
        search = Search(keeper)
        assert await search.search(sought, opening()) is None
        assert "open" in sought.unknown

        async with asyncio.timeout(PATIENCE_S):
            while "open" in sought.unknown:
                assert await search.search(sought, opening()) is None

    assert not sought.maybe_sent(opening())


async def test_whether_an_opening_can_be_found_is_said_without_beginning_to_search_it(simulator: Simulator) -> None:
    bought(simulator, mark("open"))
    sought, another = attempt(opening()), attempt(opening())
    another.meaning = "another"

    async with simulator.keeper() as (_, keeper):
        search = Search(keeper)
        assert await search.finds(sought)
        assert not await search.finds(another)
        assert not await search.finds(attempt(closing(1)))

    assert sought.untouched
    assert another.untouched


async def test_what_shows_up_during_a_grace_is_adopted(simulator: Simulator) -> None:
    sought = attempt(opening(), grace=20.0)

    async with simulator.keeper() as (_, keeper):
        search = Search(keeper)
        assert await search.search(sought, opening()) is None
        ticket = bought(simulator, mark("open"))
        async with asyncio.timeout(PATIENCE_S):
            while (found := await search.search(sought, opening())) is None:
                assert "open" in sought.unknown

    assert isinstance(found, Done)
    assert found.identifier == ticket


async def test_what_is_being_sent_again_has_a_whole_grace_of_its_own(simulator: Simulator) -> None:
    """What the terminal showed before says nothing about a request that was sent after it."""
    sought = attempt(opening(), grace=0.3)

    async with simulator.keeper() as (_, keeper):
        search = Search(keeper)
        async with asyncio.timeout(PATIENCE_S):
            while "open" not in sought.absent:
                await search.search(sought, opening())
        search.sending(sought)
        sought.grace.seconds = 600.0

        assert await search.search(sought, opening()) is None
        assert "open" in sought.unknown


async def test_an_exit_is_looked_for_at_once_however_soon_after_another_look(netting: Simulator) -> None:
    sought = attempt(opening(), grace=600.0)

    async with netting.keeper() as (_, keeper):
        search = Search(keeper)
        await search.search(sought, opening())
        exiting = attempt(grace=600.0)
        search.sending(exiting)
        bought(netting)
        closed(netting, 0, 0.04, mark("reduce:1"))

        assert isinstance(await search.search(exiting, reducing(0, "0.06")), Done)


async def test_a_close_that_nothing_explains_is_owed(simulator: Simulator) -> None:
    """A terminal that has just come back may list no position at all, and a refused order of ours says nothing."""
    async with simulator.keeper() as (_, keeper):
        assert await Search(keeper).search(attempt(), closing(4711)) == Owed(Obstacle.NO_ANSWER)


async def test_a_position_without_our_mark_is_not_taken_for_it(simulator: Simulator) -> None:
    bought(simulator)
    sought = attempt(opening())

    async with simulator.keeper() as (_, keeper):
        assert await Search(keeper).search(sought, opening()) is None

    assert "open" in sought.unknown


async def test_a_close_is_done_when_the_position_is_gone_and_tells_its_deal(simulator: Simulator) -> None:
    ticket = bought(simulator)
    closed(simulator, ticket, 0.1, mark("close:1"))

    async with simulator.keeper() as (_, keeper):
        found = await Search(keeper).search(attempt(), closing(ticket))

    assert isinstance(found, Done)
    assert (found.volume, found.mark) == (D("0.1"), mark("close:1"))


async def test_a_close_that_somebody_else_did_needs_nothing(simulator: Simulator) -> None:
    ticket = bought(simulator)
    closed(simulator, ticket, 0.1)

    async with simulator.keeper() as (_, keeper):
        assert await Search(keeper).search(attempt(), closing(ticket)) == Already()


async def test_a_close_whose_position_is_there_is_asked_at_once(simulator: Simulator) -> None:
    sought = attempt()

    async with simulator.keeper() as (_, keeper):
        assert await Search(keeper).search(sought, closing(bought(simulator))) is None

    assert not sought.unknown


async def test_a_part_close_goes_by_what_the_position_has_left(simulator: Simulator) -> None:
    """A failover forgot that a part was closed: whoever closed it, it is not closed again."""
    ticket = bought(simulator)
    closed(simulator, ticket, 0.05)

    async with simulator.keeper() as (_, keeper):
        assert await Search(keeper).search(attempt(), reducing(ticket, "0.06")) == Already()


async def test_a_part_close_of_an_unknown_end_is_owed_and_holds_nobody_up(simulator: Simulator) -> None:
    ticket = bought(simulator)
    sought = attempt()

    async with simulator.keeper() as (_, keeper):
        found = await Search(keeper).search(sought, reducing(ticket, "0.06"))

    assert found == Owed(Obstacle.NO_ANSWER)


@pytest.mark.parametrize("contested", [True, False])
async def test_what_is_missing_of_a_netting_position_may_be_another_exits_effect(
    netting: Simulator, contested: bool
) -> None:
    """Two links have 0.1 each; of one of them nobody knows whether it was closed, and it was."""
    bought(netting)
    bought(netting)
    closed(netting, 0, 0.1, mark("reduce"))
    links = {name: Link(key=name, instrument="EURUSD", symbol="EURUSD", parts=(HALF,)) for name in ("l", "other")}
    exit_ = Reduce(name="reduce", link="l", ticket=0, symbol="EURUSD", side="buy", volume=D("0.1"), floor=D("0.1"))
    wanted = attempt(exit_)
    wanted.meaning, wanted.contested = "another", contested

    async with netting.keeper(links) as (_, keeper):
        found = await Search(keeper).there(wanted, exit_)

    assert found == (Owed(Obstacle.CHANGED) if contested else Already())


async def test_levels_are_read(simulator: Simulator) -> None:
    ticket = bought(simulator)
    wanted = Protect(name="p", link="l", ticket=ticket, symbol="EURUSD", stop_loss=None, take_profit=None)
    other = Protect(name="p", link="l", ticket=ticket, symbol="EURUSD", stop_loss=D(1), take_profit=None)

    async with simulator.keeper() as (_, keeper):
        search = Search(keeper)
        assert await search.search(attempt(), wanted) == Already()
        assert await search.search(attempt(), other) is None


async def test_an_order_that_filled_instead_of_being_removed_is_not_removed(simulator: Simulator) -> None:
    placed_order = simulator.trade(
        action=5, symbol="EURUSD", volume=0.1, type=2, price=1.08, type_filling=2, type_time=0
    )
    ticket = placed_order["order"]
    pending = Pending(ticket=ticket, type="limit", side="buy", volume=D("0.1"), price=D("1.08"))
    link = Link(key="l", instrument="EURUSD", symbol="EURUSD", pendings={"o": pending})
    step = Withdraw(name="withdraw", link="l", order="o", ticket=ticket, symbol="EURUSD")

    async with simulator.keeper({"l": link}) as (_, keeper):
        search = Search(keeper)
        assert await search.search(attempt(), step) is None
        simulator.price("EURUSD", "1.0790", "1.0791")
        filled = await search.search(attempt(), step)

    assert filled == Rejected(0, Obstacle.CHANGED)


async def test_an_opening_that_was_sent_after_a_grace_is_sent_again_only_after_another_one(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """It was not there for a grace, so it was sent; that grace says nothing about the call that had no answer."""
    called: list[float] = []
    await source.buy("o1")
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"}, count=1)
    simulator.goes_wrong(FaultKind.RETCODE, code=10012)

    async with running(valkey.url, simulator, reach=lambda p: called.append(monotonic()) if p == "called" else None):
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"
    first, second = called
    assert second - first >= GRACE_S
