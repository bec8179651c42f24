"""What services tell of themselves: exact, the newest only, and never a reason for an onlooker to fail."""

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal as D

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared import streams, vitals
from shared.streams import Keys
from shared.vitals import AccountVitals, Position, SourceVitals
from tests.shared.samples import MOMENT

KEYS = Keys("vitals")
HELD = Position(link="demo/1/p1", instrument="EURUSD", symbol="EURUSD.r", lots=D("-0.10"), followed=D("-0.3"))
ACCOUNT = AccountVitals(
    at=MOMENT,
    condition="active",
    ping=0.012,
    equity=D("10000.07"),
    positions=(HELD,),
    used={"daily-loss": 0.25},
    filling={"EURUSD.r": ("FOK", "IOC")},
    unmapped=("DAX",),
)
SOURCE = SourceVitals(at=MOMENT, owned=True, waiting=3, polled=MOMENT)


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


async def test_what_is_told_is_read_as_it_was_to_the_last_digit(client: Redis) -> None:
    await vitals.tell_account(client, KEYS, "main", ACCOUNT)
    await vitals.tell_source(client, KEYS, "main", SOURCE)

    told = await vitals.account(client, KEYS, "main")

    assert told == ACCOUNT
    assert str(told.positions[0].lots) == "-0.10"
    assert await vitals.source(client, KEYS, "main") == SOURCE  # although an account has the same name


async def test_only_the_newest_counts(client: Redis) -> None:
    newer = replace(SOURCE, at=MOMENT + timedelta(seconds=1), waiting=0)
    for told in (SOURCE, newer):
        await vitals.tell_source(client, KEYS, "demo", told)

    assert await vitals.source(client, KEYS, "demo") == newer


async def test_who_has_said_nothing_is_none_also_when_another_has(client: Redis) -> None:
    await vitals.tell_account(client, KEYS, "main", ACCOUNT)

    assert await vitals.account(client, KEYS, "other") is None
    assert await vitals.account(client, Keys("elsewhere"), "main") is None
    assert await vitals.source(client, KEYS, "main") is None


@pytest.mark.parametrize("raw", [b"{", b'{"at": "2026-01-05T12:00:00Z"}', b'{"at": 1, "condition": "active"}', b"\xff"])
async def test_what_cannot_be_read_is_as_if_nothing_was_said(client: Redis, raw: bytes) -> None:
    await client.set(KEYS.account("vitals", "main"), raw)

    assert await vitals.account(client, KEYS, "main") is None


async def test_the_last_word_of_a_service_that_is_gone_does_not_stay_for_ever(client: Redis) -> None:
    await vitals.tell_account(client, KEYS, "main", ACCOUNT)
    await vitals.tell_source(client, KEYS, "demo", SOURCE)

    for key in (KEYS.account("vitals", "main"), KEYS.source("vitals", "demo")):
        assert vitals.KEPT_S - 60 < await client.ttl(key) <= vitals.KEPT_S
