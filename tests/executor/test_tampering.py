"""Whoever may write to the stream and has no key can hide facts and stop openings; nothing is traded that no fact asked
for, and nothing twice.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.api import DealEntry
from shared import outcomes
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, running, told

Fields = dict[bytes, bytes]
POSITIONS = ("o1", "o2", "o3", "o4")
DEEDS = 8
LOT = 0.1


def doubled(stream: list[Fields], chance: random.Random) -> None:
    stream.insert(chance.randrange(len(stream) + 1), dict(chance.choice(stream)))


def dropped(stream: list[Fields], chance: random.Random) -> None:
    if len(stream) > 1:
        stream.pop(chance.randrange(len(stream)))


def swapped(stream: list[Fields], chance: random.Random) -> None:
    one, other = chance.randrange(len(stream)), chance.randrange(len(stream))
    stream[one], stream[other] = stream[other], stream[one]


def changed(stream: list[Fields], chance: random.Random) -> None:
    place = chance.randrange(len(stream))
    before, after = chance.choice(
        [(b'"0.1"', b'"9.9"'), (b'"buy"', b'"sell"'), (b'"seq":', b'"seq":1'), (b"o1", b"o9")]
    )
    message = stream[place][b"m"].replace(before, after)
    stream.insert(
        place + 1, {**stream[place], b"m": message, b"x": b"1"} if message != stream[place][b"m"] else {b"m": b"{"}
    )


def mismatched(stream: list[Fields], chance: random.Random) -> None:
    """The signature of one fact under another."""
    one, other = chance.choice(stream), chance.choice(stream)
    if one.get(b"s") != other.get(b"s"):
        stream.append({**one, b"s": other.get(b"s", b"")})


DEED: list[Callable[[list[Fields], random.Random], None]] = [doubled, dropped, swapped, changed, mismatched]


async def history(source: Source, chance: random.Random) -> None:
    """Openings and closes of a few positions."""
    opened: list[str] = []
    for position in POSITIONS:
        await source.buy(position)
        opened.append(position)
        if chance.random() < 0.5:
            await source.close(opened.pop(chance.randrange(len(opened))))


async def tampered_with(redis: Redis, chance: random.Random) -> int:
    """Put another stream in place of the one that was published; returns how many entries it has."""
    entries: Any = await redis.xrange(KEYS.orders)
    stream = [dict(fields) for _, fields in entries]
    for _ in range(DEEDS):
        chance.choice(DEED)(stream, chance)
    await redis.xdel(KEYS.orders, *[entry for entry, _ in entries])
    for fields in stream:
        added: Any = fields
        await redis.xadd(KEYS.orders, added)
    return len(stream)


async def worked_off(redis: Redis) -> None:
    """Wait until the account has read everything and nothing of it is unfinished."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            groups: Any = await redis.xinfo_groups(KEYS.orders)
            (group,) = [g for g in groups if g["name"] == ACCOUNT.encode()]
            last: Any = await redis.xinfo_stream(KEYS.orders)
            if group["last-delivered-id"] == last["last-generated-id"] and not group["pending"]:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_is_traded_that_no_fact_asked_for_and_nothing_twice(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, seed: int
) -> None:
    chance = random.Random(seed)
    await history(source, chance)
    await tampered_with(redis, chance)

    async with running(valkey.url, simulator):
        await worked_off(redis)

    ends = [m for m in await told(redis) if isinstance(m, outcomes.Outcome)]
    assert max(Counter(end.fact for end in ends).values(), default=0) <= 1
    deals = await simulator.deals()
    openings = [deal for deal in deals if deal.entry == DealEntry.IN]
    assert len(openings) == sum(end.result == "filled" for end in ends) <= len(POSITIONS)
    assert {(deal.volume, deal.type) for deal in openings} <= {(LOT, 0)}
    assert len({deal.magic for deal in openings}) == len(openings)
    assert sum(deal.volume for deal in deals if deal.entry == DealEntry.OUT) <= LOT * len(openings) + 1e-9
