"""What an operator says from outside holds from the next order on: pause, close-only, flatten and resume."""

import asyncio
from collections.abc import Callable
from time import time_ns
from typing import cast

import pytest
from redis.asyncio import Redis

from deploy.control import order
from deploy.embedded import Valkey
from executor.orders import DONE, What, signed
from executor.states import Command
from shared.outcomes import Notice, Outcome, Pending
from shared.wire import Codec, Keyring
from tests.executor.rig import ACCOUNT, CODEC, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told

STRANGER = Codec(KEYS.namespace, Keyring(current="k1", keys={"k1": b"x" * 32}))


async def say(redis: Redis, command: Command) -> None:
    await order(redis, KEYS, lambda: CODEC, command, {ACCOUNT: True})


async def flat(simulator: Simulator) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await simulator.volumes():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("command", ["pause", "close-only", "flatten"])
async def test_the_very_next_opening_is_denied(
    command: Command, valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await say(redis, command)
        await source.buy("p1")
        (found,) = await ended(redis, 1)

    assert (found.result, found.reason) == ("denied", "state")
    assert await simulator.volumes() == []


async def test_close_only_lets_the_next_close_through_and_resume_the_next_opening(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await source.buy("p1")
        await ended(redis, 1)
        await say(redis, "close-only")
        await source.close("p1")
        await ended(redis, 2)
        await say(redis, "resume")
        await source.buy("p2")
        found = await ended(redis, 3)

    assert [o.result for o in found] == ["filled", "closed", "filled"]


async def test_pause_keeps_a_close_as_owed_and_resume_sends_it(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await source.buy("p1")
        await ended(redis, 1)
        await say(redis, "pause")
        await source.close("p1")
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(m, Pending) and m.state == "owed" for m in await told(redis)):
                await asyncio.sleep(0.05)
        assert len(await simulator.volumes()) == 1
        await say(redis, "resume")
        found = await ended(redis, 2)

    assert found[-1].result == "closed"
    assert await simulator.volumes() == []


async def test_flatten_closes_everything_once_opens_nothing_more_and_says_so(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        for name in ("p1", "p2", "p3"):
            await source.buy(name)
        await source.limit("o1", "0.1", "1.01")
        await ended(redis, 4)
        await say(redis, "flatten")
        await flat(simulator)
        async with asyncio.timeout(PATIENCE_S):
            while await simulator.orders() or await redis.hlen(KEYS.account("debts", ACCOUNT)):
                await asyncio.sleep(0.05)
        messages = await told(redis)
        await say(redis, "resume")
        await source.buy("p4")
        await ended(redis, 5)

    assert len(await simulator.deals()) == 7  # three in, three out, and the one after
    notices = [m.text for m in messages if isinstance(m, Notice)]
    assert any("closed: 4 positions" in text for text in notices)
    assert any("close-only" in text for text in notices)
    assert not any(isinstance(m, Outcome) and m.result == "dead" for m in messages)


async def test_a_flatten_that_was_carried_out_is_not_carried_out_again_by_the_next_lane(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await source.buy("p1")
        await ended(redis, 1)
        await say(redis, "flatten")
        await flat(simulator)
        async with asyncio.timeout(PATIENCE_S):
            while not await done(redis, "flatten"):
                await asyncio.sleep(0.05)
        await say(redis, "resume")
        await source.buy("p2")
        await ended(redis, 2)
    async with running(valkey.url, simulator, account()):
        await source.buy("p3")
        await ended(redis, 3)
        await asyncio.sleep(0.5)  # longer than the operator is looked for

        assert len(await simulator.volumes()) == 2


FORGED = {
    "by an older version": str,
    "with another key": lambda moment: signed(STRANGER, ACCOUNT, "flatten", moment),
    "for another account": lambda moment: signed(CODEC, "second", "flatten", moment),
    "as another order": lambda moment: signed(CODEC, ACCOUNT, "rearm", moment),
}


@pytest.mark.parametrize("order_of", FORGED.values(), ids=FORGED)
async def test_a_flatten_that_nobody_of_ours_has_signed_is_told_and_not_carried_out(
    valkey: Valkey, redis: Redis, simulator: Simulator, order_of: Callable[[int], str]
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await source.buy("p1")
        await ended(redis, 1)
        await redis.hset(KEYS.account("state", ACCOUNT), "flatten", order_of(time_ns() // 1000))
        async with asyncio.timeout(PATIENCE_S):
            while not any("not done: flatten: it bears no sound" in m.text for m in await notices(redis)):
                await asyncio.sleep(0.05)
        await source.buy("p2")
        await ended(redis, 2)

        assert len(await simulator.volumes()) == 2


async def test_a_flatten_that_somebody_has_kept_is_not_carried_out_again(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source, state = Source(redis), KEYS.account("state", ACCOUNT)
    await source.open()
    async with running(valkey.url, simulator, account()):
        old: list[str] = []
        for name in ("p1", "p2"):
            await source.buy(name)
            await ended(redis, len(old) + 1)
            await say(redis, "flatten")
            old.append(cast(bytes, await redis.hget(state, "flatten")).decode())
            await flat(simulator)
            await say(redis, "resume")
            async with asyncio.timeout(PATIENCE_S):
                while len(await simulator.deals()) < len(old) * 2 or not await done(redis):
                    await asyncio.sleep(0.05)
        await redis.hset(state, "flatten", old[0])
        await source.buy("p3")
        async with asyncio.timeout(PATIENCE_S):
            while not await simulator.volumes():
                await asyncio.sleep(0.05)
        await say(redis, "resume")  # what is asked after it is heard after it
        async with asyncio.timeout(PATIENCE_S):
            while not await done(redis):
                await asyncio.sleep(0.05)
        assert len(await simulator.volumes()) == 1


async def done(redis: Redis, what: What = "rearm") -> bool:
    """Whether the last `resume`, or `flatten`, has been carried out."""
    state = KEYS.account("state", ACCOUNT)
    asked, done = cast(list[bytes], await redis.hmget(state, [what, DONE[what]]))
    return asked.decode().endswith(f" {done.decode()}") if done else False


async def notices(redis: Redis) -> list[Notice]:
    return [m for m in await told(redis) if isinstance(m, Notice)]


async def test_a_flatten_that_nobody_heard_is_carried_out_by_the_next_lane(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        await source.buy("p1")
        await ended(redis, 1)
    await say(redis, "flatten")
    async with running(valkey.url, simulator, account()):
        await flat(simulator)
