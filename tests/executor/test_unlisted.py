"""A terminal that has just come back lists no symbols and no positions yet: that is not the same as having none."""

import asyncio
from decimal import Decimal

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.settings import Limits
from shared.outcomes import Pending
from tests.executor.rig import PATIENCE_S, Simulator, Source, account, ended, running, told
from tests.executor.test_replaying import Dying
from tests.executor.test_watch import seen

D = Decimal
AGELESS = Limits(max_age=D("0.000001"), max_drift_percent=D(100), max_spread_percent=D(100))
"""Every opening is too old, so none waits."""


async def test_an_opening_waits_for_the_terminal_to_list_its_symbols(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.EMPTY, function="symbols_get", times=0)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        (waiting,) = await seen(redis, Pending)
        await source.close("o1", "0.04")
        simulator.heal()
        found = await ended(redis, 2)

    assert isinstance(waiting, Pending)
    assert (waiting.state, waiting.text) == ("unresolved", "the terminal lists no symbols yet")
    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == [("EURUSD", 0, 0.06)]


async def test_one_that_is_too_old_by_then_is_denied_with_what_is_known(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.EMPTY, function="symbols_get", times=0)
    async with running(valkey.url, simulator, account(limits=AGELESS)):
        await source.buy("o1")
        (outcome,) = await ended(redis, 1)

    assert (outcome.result, outcome.reason) == ("denied", "no-specification")
    assert "EURUSD" in outcome.text


@pytest.mark.parametrize("limits", [account().limits, AGELESS], ids=["young", "too old"])
async def test_what_was_sent_before_is_found_whatever_the_terminal_lists(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, limits: Limits
) -> None:
    reach = Dying(armed=True)
    async with running(valkey.url, simulator, reach=reach, lease_s=1.0):
        await source.buy("o1")
        await reach.dead()
    simulator.goes_wrong(FaultKind.EMPTY, function="symbols_get", times=4)
    async with running(valkey.url, simulator, account(limits=limits)):
        await ended(redis, 1)
        await source.close("o1")
        found = await ended(redis, 2)

    assert [o.result for o in found] == ["filled", "closed"]
    assert await simulator.volumes() == []


async def test_an_opening_waits_while_a_netting_account_does_not_list_what_is_ours(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    """Else it would look as if somebody held as much the other way."""
    async with running(valkey.url, netting) as lane:
        await source.buy("o1", "0.3")
        await ended(redis, 1)
        netting.goes_wrong(FaultKind.EMPTY, function="positions_get", times=0)
        async with asyncio.timeout(PATIENCE_S):
            while lane._keeper.book.holdings:
                await asyncio.sleep(0.02)
        await source.buy("o2", "0.1")
        (waiting,) = await seen(redis, Pending)
        netting.heal()
        found = await ended(redis, 2)

    assert isinstance(waiting, Pending)
    assert (waiting.state, waiting.text) == ("unresolved", "nobody knows yet what of the position is whose")
    assert [o.result for o in found] == ["filled", "filled"]
    assert await netting.volumes() == [("EURUSD", 0, 0.4)]


async def test_rules_that_the_terminal_did_not_tell_are_asked_for_by_the_next_order(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-4, times=0)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.heal()
        await source.buy("o2")
        found = await ended(redis, 2)

    assert [(o.result, o.reason) for o in found] == [("denied", "no-specification"), ("filled", "")]
    assert not [m for m in await told(redis) if isinstance(m, Pending)]
