"""Facts become trades on a real (simulated) terminal, exactly once, also when the terminal, Redis or the lane fail."""

import asyncio
import gc
from decimal import Decimal
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.lane import _together
from executor.mt5.simulator.faults import FaultKind
from shared import outcomes
from shared.facts import Levels
from tests.executor.rig import (
    ACCOUNT,
    KEYS,
    Simulator,
    Source,
    account,
    ended,
    running,
    told,
)


def results(found: list[outcomes.Outcome]) -> list[tuple[str, str]]:
    return [(o.result, o.reason) for o in found]


async def test_a_position_is_opened_protected_reduced_and_closed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "0.1")
        await source.levels("o1", stop_loss=Decimal("0.5"), take_profit=Decimal(2))
        await source.close("o1", "0.04")
        opened = (await ended(redis, 3))[0]
        assert await simulator.volumes() == [("EURUSD", 0, 0.06)]
        await source.close("o1")
        found = await ended(redis, 4)

    assert [o.result for o in found] == ["filled", "modified", "closed", "closed"]
    assert await simulator.volumes() == []
    assert [o.fact for o in found] == [f"demo/10001/position:o1/{n}" for n in (1, 2, 3, 4)]
    (step,) = opened.steps
    assert (step.action, step.side, step.volume, step.result) == ("open", "buy", Decimal("0.1"), "done")
    assert opened.captured <= opened.read
    assert step.sent is not None
    assert step.answered is not None
    assert await redis.hgetall(KEYS.account("links", ACCOUNT)) == {}


async def test_levels_ride_with_the_opening(valkey: Valkey, redis: Redis, source: Source, simulator: Simulator) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=Levels(stop_loss=Decimal("0.5"), take_profit=Decimal(2)))
        await ended(redis, 1)
        positions: Any = await eyes.positions()

    assert [(p.sl, p.tp) for p in positions] == [(0.5, 2.0)]


async def test_facts_that_come_again_change_nothing(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The last server's acknowledgement was lost: the entry is pending again although it was followed."""
    await source.buy("o1")
    async with running(valkey.url, simulator):
        await ended(redis, 1)
    await redis.xgroup_setid(KEYS.orders, ACCOUNT, "0")

    async with running(valkey.url, simulator):
        await source.buy("o2")
        found = await ended(redis, 2)

    assert len(found) == 2
    assert len(await simulator.volumes()) == 2


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_an_opening_without_an_answer_is_found_or_sent_once(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, execute: bool
) -> None:
    simulator.goes_wrong(FaultKind.DROP, execute=execute)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"
    assert await simulator.volumes() == [("EURUSD", 0, 0.1)]
    assert len(await simulator.deals()) == 1


async def test_a_hung_terminal_is_restarted_and_the_order_found_or_sent_once(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.HANG, execute=True)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"
    assert len(await simulator.deals()) == 1


async def test_an_opening_that_is_unknown_holds_back_openings_of_its_instrument_and_no_exit(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(grace=3.0)):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o2")
        await source.buy("o3")
        await source.close("o1")
        (_, closed) = await ended(redis, 2)
        assert closed.fact.startswith("demo/10001/position:o1")
        assert closed.result == "closed"
        found = await ended(redis, 4)

    assert [o.result for o in found[2:]] == ["filled", "filled"]
    assert [o.fact for o in found[2:]] == ["demo/10001/position:o2/1", "demo/10001/position:o3/1"]
    assert len(await simulator.deals()) == 4


async def test_an_opening_that_was_closed_at_the_source_while_unknown_is_closed_when_it_shows_up(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.LATE, delay=300)

    async with running(valkey.url, simulator, account(grace=3.0)):
        await source.buy("o1")
        await source.close("o1")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == []


async def test_an_exit_that_is_refused_for_a_passing_cause_is_owed_and_done_later(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=2)
        await source.close("o1")
        (_, closed) = await ended(redis, 2)

    assert closed.result == "closed"
    assert [m.state for m in await told(redis) if isinstance(m, outcomes.Pending)] == ["owed"]
    assert await simulator.volumes() == []
    assert await redis.hgetall(KEYS.account("debts", ACCOUNT)) == {}


async def test_a_later_exit_moves_the_target_of_what_is_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=3)
        await source.close("o1", "0.5")
        await source.close("o1", "0.25")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "closed", "closed"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.25)]


async def test_close_only_denies_openings_and_lets_exits_through(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", "close-only")
        await source.buy("o2")
        await source.close("o1")
        found = await ended(redis, 3)

    assert results(found)[1:] == [("denied", "state"), ("closed", "")]


async def test_shadow_computes_and_sends_nothing(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(mode="shadow")):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("ignored", "shadow")
    assert outcome.steps[0].volume == Decimal("0.1")
    assert await simulator.deals() == []


@pytest.mark.parametrize("lease_s", [1.0, 120.0])
async def test_a_second_lane_stands_by_and_takes_over_as_soon_as_the_account_is_free(
    lease_s: float, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with (
        running(valkey.url, simulator, lease_s=lease_s) as first,
        running(valkey.url, simulator, lease_s=lease_s, wait=False),
    ):
        await source.buy("o1")
        await ended(redis, 1)
        await first.stop()
        await source.buy("o2")
        await ended(redis, 2)

    assert len(await simulator.deals()) == 2


async def test_a_terminal_with_another_account_is_refused_and_the_others_go_on(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    await redis.hset(KEYS.account("state", ACCOUNT), "identity", "2@Elsewhere")
    await source.buy("o1")

    async with running(valkey.url, simulator, wait=False):
        async with asyncio.timeout(10):
            while "log in as 2@Elsewhere again" not in caplog.text:
                await asyncio.sleep(0.02)
        await redis.hdel(KEYS.account("state", ACCOUNT), "identity")
        found = await ended(redis, 1)

    assert found[0].result == "filled"
    assert caplog.text.count("log in as 2@Elsewhere again") == 1


async def test_a_lost_group_stops_the_account_and_says_what_to_do(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    await source.buy("o1")
    await redis.xgroup_destroy(KEYS.orders, ACCOUNT)

    async with running(valkey.url, simulator, wait=False):
        async with asyncio.timeout(10):
            while "its consumer group is gone" not in caplog.text:
                await asyncio.sleep(0.02)

    assert f"`tradecopier restore --account {ACCOUNT}`" in caplog.text
    assert await simulator.deals() == []


async def test_what_fails_while_the_lane_is_told_to_stop_surprises_nobody() -> None:
    begun, surprises = asyncio.Event(), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: surprises.append(context))

    async def loses_its_connection() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise ConnectionError

    lane = asyncio.create_task(_together(loses_its_connection(), asyncio.sleep(3600)))
    await begun.wait()
    lane.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lane
    del lane
    for _ in range(3):  # what nobody has asked for is told when it is collected
        await asyncio.sleep(0)
        gc.collect()

    assert surprises == []
