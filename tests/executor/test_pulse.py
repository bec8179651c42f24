"""The pulse shows the streams and tells how the account is; what it cannot know is not a number."""

import asyncio
import math
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.meter import Disagreement
from executor.metrics import Metrics
from executor.pulse import Pulse
from shared import streams, vitals
from shared.depth import Depth, Group
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running


def now() -> datetime:
    return datetime.now(UTC)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(f"tradecopier_{name}", labels)
    assert found is not None
    return found


def idle(redis: Redis) -> tuple[Pulse, CollectorRegistry]:
    registry = CollectorRegistry()
    return Pulse(registry, Metrics(registry, [ACCOUNT]), redis, KEYS, (), now), registry


def depth(lag: int | None) -> Depth:
    group = Group(stream="orders", name=ACCOUNT, lag=lag, pending=2, oldest=7.0)
    return Depth(lengths={"orders": 9, "outcomes": 1, "dead": 3}, groups=(group,), used=1, limit=4)


async def test_a_lag_that_the_server_cannot_tell_is_not_a_number_and_not_0(redis: Redis) -> None:
    pulse, registry = idle(redis)

    pulse.show(depth(None))

    assert math.isnan(value(registry, "group_lag", stream="orders", group=ACCOUNT))
    assert value(registry, "group_oldest_pending_seconds", stream="orders", group=ACCOUNT) == 7
    assert value(registry, "stream_entries", stream="dead") == 3


async def test_a_group_that_is_gone_is_unknown_and_not_empty(redis: Redis) -> None:
    pulse, registry = idle(redis)
    pulse.show(depth(0))

    pulse.show(Depth(lengths={"orders": 9, "outcomes": 1, "dead": 3}, groups=(), used=1, limit=4))

    assert math.isnan(value(registry, "group_lag", stream="orders", group=ACCOUNT))


async def test_while_redis_is_away_no_old_value_looks_healthy() -> None:
    redis = streams.connect("redis://127.0.0.1:1/0")
    pulse, registry = idle(redis)
    pulse.show(depth(0))

    pulse._away(OSError("refused"))

    assert value(registry, "redis_up") == 0
    for group in (ACCOUNT, "archiver"):
        assert math.isnan(value(registry, "group_lag", stream="orders", group=group))
    await redis.aclose()


async def test_it_tells_how_the_account_is_and_what_has_no_symbol(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account(reconcile_every=0.1)) as lane:
        await source.buy("p1")
        await source.buy("p2", instrument="NOWHERE")
        await ended(redis, 2)
        meter = lane.meter
        meter.watcher.lane(ACCOUNT, "active")
        async with asyncio.timeout(PATIENCE_S):
            while not meter.unmapped:
                await asyncio.sleep(0.02)
        meter.differs([Disagreement("EURUSD: …", now())], meter.unmapped)
        pulse = Pulse(CollectorRegistry(), meter.watcher, redis, KEYS, [meter], now)
        await pulse.beat()
        told = await vitals.account(redis, KEYS, ACCOUNT)
        meter.watcher.lane(ACCOUNT, "away")
        await pulse.beat()

    assert told is not None
    assert (told.condition, told.margin, told.identity) == ("active", "hedging", "1@Demo")
    assert [(p.symbol, f"{p.lots:f}") for p in told.positions] == [("EURUSD", "0.1")]
    assert (told.unmapped, told.drift) == (("NOWHERE",), ("EURUSD: …",))
    assert meter.drifting == (), "what nobody can see now is not shown as if it were seen"
    assert value(meter.registry, "trading_state", account=ACCOUNT, state="active") == 1


async def test_what_cannot_be_read_was_not_said(redis: Redis) -> None:
    await redis.set(KEYS.account("vitals", ACCOUNT), b"{")

    assert await vitals.account(redis, KEYS, ACCOUNT) is None
    assert await vitals.source(redis, KEYS, "nobody") is None
