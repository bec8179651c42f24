"""Long and short positions of one instrument on a netting account, and denials that would be written over an effect.

Each story is one that a random search has shown to end with a debt for ever, another net than the source's, or a
position that nobody knows of.
"""

from time import time_ns
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.orders import signed
from tests.e2e.test_mishaps import MARKET_CLOSED, NO_ANSWER, D, at_rest, owed
from tests.executor.conftest import netting, redis, simulator, source
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running
from tests.executor.test_operator import done

__all__ = ["netting", "redis", "simulator", "source"]

pytestmark = pytest.mark.timeout(PATIENCE_S * 4)


async def test_an_opening_that_was_done_is_found_though_its_size_cannot_be_computed_any_more(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """The terminal that came back does not tell the symbol's rules."""
    simulator.goes_wrong(FaultKind.DROP, execute=True)
    simulator.goes_wrong(FaultKind.NONE, function="symbol_info", code=-1, skip=1, times=3)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        found, net = await at_rest(redis, simulator, 1)

    assert (found, net) == ([("o1/1", "filled")], D("0.1"))


@pytest.mark.parametrize("short", ["-0.3", "-0.1"])
async def test_flattening_positions_that_stand_against_each_other_comes_to_an_end(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator, short: str
) -> None:
    async with running(valkey.url, netting):
        await source.buy("o1", "0.3")
        await source.buy("o2", short)
        await ended(redis, 2)
        state: Any = {
            "mode": "close-only",
            "reason": "operator",
            "flatten": signed(CODEC, ACCOUNT, "flatten", time_ns()),
        }
        await redis.hset(KEYS.account("state", ACCOUNT), mapping=state)
        while not await done(redis, "flatten"):
            await redis.xread({KEYS.outcomes: "$"}, block=50)
        _, net = await at_rest(redis, netting, 2)

    assert net == 0
    assert not await redis.hlen(KEYS.account("links", ACCOUNT))


async def test_an_exit_across_zero_that_is_not_allowed_leaves_no_debt_behind(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting):
        await source.buy("o1", "0.3")
        await source.buy("o2", "-0.3")
        await ended(redis, 2)
        await redis.hset(KEYS.account("state", ACCOUNT), mapping={"mode": "close-only", "reason": "operator"})
        await source.close("o1")
        await source.close("o2")
        found, net = await at_rest(redis, netting, 4)

    assert (found[2:], net) == ([("o1/2", "denied"), ("o2/2", "ignored")], D(0))


async def test_an_exit_that_is_owed_crosses_zero_when_the_market_opens(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    """Meanwhile a position the other way was opened, so that what is owed is not in the account's net any more."""
    async with running(valkey.url, netting, account(grace=3.0)):
        await source.buy("o1", "0.1")
        await ended(redis, 1)
        netting.goes_wrong(**NO_ANSWER)
        await source.close("o1")
        await owed(redis)
        await source.buy("o2", "-0.3")
        _, net = await at_rest(redis, netting, 3)

    assert net == D("-0.3")


async def test_an_exit_across_zero_that_is_refused_is_owed(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting):
        await source.buy("o1", "0.3")
        await source.buy("o2", "-0.3")
        await ended(redis, 2)
        netting.goes_wrong(**MARKET_CLOSED, times=2)
        await source.close("o1")
        found, net = await at_rest(redis, netting, 3)

    assert (found[-1], net) == (("o1/2", "closed"), D("-0.3"))
