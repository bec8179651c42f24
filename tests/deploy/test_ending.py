"""What an end by hand would change is said before it is asked for; that it changes it is in test_replay."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from deploy.ending import foretold
from deploy.surroundings import Surroundings, found
from executor.asked import Resolve, TargetKind
from executor.book import Debt, Link, Owing, Part
from shared.outcomes import Result
from shared.process import UserError
from tests.deploy.onlookers import beside
from tests.executor.rig import ACCOUNT, KEYS, Source

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
LINK = Link(
    key="demo/1/o1",
    instrument="EURUSD",
    symbol="EURUSD",
    parts=(Part(ticket=7, identifier=7, volume=Decimal("0.30"), side="sell"),),
)
DEBT = Debt(
    link=LINK.key, fact="f1", entry="1-1", target=Decimal("-0.1"), since=NOW, captured=NOW, reason="market-closed",
    also=(Owing(fact="f2", entry="2-1", captured=NOW),),
)  # fmt: skip


@pytest.fixture
def around(tmp_path: Path, valkey: Valkey) -> Surroundings:
    return found(beside(tmp_path, valkey), {})


async def said(around: Surroundings, redis: Redis, target: TargetKind, name: str, result: Result) -> str:
    request = Resolve(target=target, name=name, result=result, asked=NOW)
    return await foretold(around, redis, ACCOUNT, request)


@pytest.mark.parametrize(("target", "name"), [("link", LINK.key), ("fact", "f1"), ("fact", "f2")])
async def test_of_a_debt_it_says_what_is_ours_what_should_be_and_who_waits(
    around: Surroundings, redis: Redis, target: TargetKind, name: str
) -> None:
    for part, value in (("debts", DEBT), ("links", LINK)):
        await redis.hset(KEYS.account(part, ACCOUNT), LINK.key, msgspec.json.encode(value))
    text = await said(around, redis, target, name, "closed")
    assert "0.3 lots of EURUSD are ours and 0.1 should be, since 2026-11-25 12:00:00 UTC (market-closed)" in text
    assert "0.2 lots are not ours any more" in text
    assert text.endswith("Ends as closed: f1, f2.")


@pytest.mark.parametrize(
    ("result", "says"),
    [("denied", "the account holds nothing of it"), ("filled", "what bears its mark in the terminal becomes ours")],
)
async def test_of_a_fact_it_says_what_becomes_of_its_position(
    around: Surroundings, redis: Redis, result: Result, says: str
) -> None:
    source = Source(redis)
    await source.open()
    fact = await source.buy("o1")
    raw: Any = await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    entry = raw[0][1][0][0].decode()
    for target, name in (("fact", fact.id), ("entry", entry)):
        kind: TargetKind = "fact" if target == "fact" else "entry"
        text = await said(around, redis, kind, name, result)
        assert text.startswith(f"{fact.id}: order.placed market buy 0.1 EURUSD\nEnds as {result}: {says}")


async def test_an_entry_that_cannot_be_read_can_only_be_given_up(around: Surroundings, redis: Redis) -> None:
    entry: Any = await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    assert "goes to the dead letters" in await said(around, redis, "entry", entry.decode(), "dead")
    with pytest.raises(UserError, match="resolve it as dead"):
        await said(around, redis, "entry", entry.decode(), "filled")


@pytest.mark.parametrize("target", ["fact", "entry", "link"])
async def test_what_is_not_unfinished_is_one_line(around: Surroundings, redis: Redis, target: TargetKind) -> None:
    with pytest.raises(UserError, match="nothing named 1-1 is unfinished on main"):
        await said(around, redis, target, "1-1", "dead")
