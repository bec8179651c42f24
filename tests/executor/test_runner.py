"""A step is asked again when the refusal is of the moment, given up when it is not, and never sent late."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.settings import Limits
from shared import outcomes
from shared.facts import Levels
from tests.executor.rig import Simulator, Source, account, ended, running, told

D = Decimal
MOMENTARY = {"requote": 10004, "price changed": 10020, "no quotes": 10021, "too many requests": 10024}


@pytest.mark.parametrize("code", MOMENTARY.values(), ids=MOMENTARY)
async def test_a_refusal_of_the_moment_is_asked_again(
    code: int, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=code, times=2)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"
    assert len(await simulator.deals()) == 1


async def test_an_opening_that_is_refused_again_and_again_is_rejected(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10004, times=0)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("rejected", "price")
    assert outcome.steps[0].retcode == 10004
    assert await simulator.deals() == []


async def test_a_wrong_filling_mode_is_replaced_by_another_one(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10030)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"


async def test_a_refusal_for_good_is_told_with_its_code_and_words(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10019)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason, outcome.steps[0].retcode) == ("rejected", "no-money", 10019)
    assert outcome.steps[0].text


async def test_an_opening_whose_stops_are_refused_is_opened_and_then_protected(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10016)

    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=Levels(stop_loss=D("1.05")))
        (outcome,) = await ended(redis, 1)
        positions = await eyes.positions()

    assert outcome.result == "filled"
    assert [step.action for step in outcome.steps] == ["open", "set levels"]
    assert isinstance(positions, tuple)
    assert [p.sl for p in positions] == [1.05]


async def test_a_stop_that_cannot_be_set_is_owed_until_it_is(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10029, times=2)
        await source.levels("o1", stop_loss=D("1.05"))
        found = await ended(redis, 2)
        positions = await eyes.positions()

    assert found[1].result == "modified"
    assert [m.state for m in await told(redis) if isinstance(m, outcomes.Pending)] == ["owed"]
    assert isinstance(positions, tuple)
    assert [p.sl for p in positions] == [1.05]


async def test_an_opening_that_is_too_old_is_denied_and_its_exit_needs_nothing(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    limits = Limits(max_age=D(1), max_drift_percent=D(100), max_spread_percent=D(100))
    old = datetime.now(UTC) - timedelta(seconds=5)

    async with running(valkey.url, simulator, account(limits=limits)):
        await source.buy("o1", captured=old)
        await source.close("o1")
        found = await ended(redis, 2)

    assert [(o.result, o.reason) for o in found] == [("denied", "too-old"), ("ignored", "nothing-here")]
    assert await simulator.deals() == []


async def test_a_part_close_of_an_unknown_end_is_owed_and_done_once(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.NONE, code=-1, execute=True)
        await source.close("o1", "0.4")
        found = await ended(redis, 2)

    assert found[1].result == "closed"
    assert await simulator.volumes() == [("EURUSD", 0, 0.6)]
    assert len(await simulator.deals()) == 2


async def test_on_a_netting_account_a_close_of_an_unknown_end_is_done_once(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting):
        await source.buy("o1", "1")
        await ended(redis, 1)
        netting.goes_wrong(FaultKind.NONE, code=-1, execute=True)
        await source.close("o1")
        found = await ended(redis, 2)

    assert found[1].result == "closed"
    assert await netting.volumes() == []
    assert len(await netting.deals()) == 2
