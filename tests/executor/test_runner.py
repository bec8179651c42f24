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


async def test_every_filling_mode_is_asked_for_once(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10030, times=2)
    simulator.goes_wrong(FaultKind.RETCODE, code=10019)

    async with running(valkey.url, simulator):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("rejected", "filling")


async def test_an_exit_finds_its_filling_mode_where_the_rules_are_not_known(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The broker takes all or nothing only, and its terminal has come back without the symbol's rules."""
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
    simulator.rules("EURUSD", filling=1)
    simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-4, times=0)

    async with running(valkey.url, simulator):
        await source.close("o1")
        found = await ended(redis, 2)

    assert found[1].result == "closed"
    assert await simulator.volumes() == []


async def test_an_opening_is_not_asked_again_at_a_price_that_has_run_away(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The price jumps between the guards and the call, and the server offers the new one."""
    simulator.rules("EURUSD", execution=1)
    limits = Limits(max_age=D(60), max_drift_percent=D("0.5"), max_spread_percent=D(100))
    jumped: list[str] = []

    def reach(point: str) -> None:
        if point == "fenced" and not jumped:
            jumped.append(point)
            simulator.price("EURUSD", "1.12000", "1.12008")

    async with running(valkey.url, simulator, account(limits=limits, window=20.0, grace=21.0), reach=reach):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("denied", "price-ran-away")
    assert await simulator.deals() == []


async def test_an_opening_that_is_asked_again_counts_once_in_its_minute(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10004, times=2)
    limits = Limits(max_age=D(60), max_drift_percent=D(100), max_spread_percent=D(100), max_orders_per_minute=1)

    async with running(valkey.url, simulator, account(limits=limits)):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"


async def test_an_opening_that_may_be_young_enough_by_its_clock_is_sent(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    limits = Limits(max_age=D(5), max_drift_percent=D(100), max_spread_percent=D(100))

    async with running(valkey.url, simulator, account(limits=limits)):
        await source.buy("o1", captured=datetime.now(UTC) - timedelta(seconds=6), uncertainty=60.0)
        (outcome,) = await ended(redis, 1)

    assert outcome.result == "filled"


@pytest.mark.parametrize("rules", [{"volume_step": "0"}, {"contract": "0"}, {"volume_min": "0"}], ids=str)
async def test_a_symbol_that_is_only_shown_is_denied_and_everything_else_goes_on(
    rules: dict[str, str], valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.rules("SHOWN", like="EURUSD", **rules)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await source.buy("o2", instrument="SHOWN")
        await source.close("o1")
        found = await ended(redis, 3)

    assert [(o.result, o.reason) for o in found] == [("filled", ""), ("denied", "no-specification"), ("closed", "")]


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
