"""What is seen of a machine through Redis alone: what was published and read, also where no service speaks."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from deploy.looking import PER_ACCOUNT, RECENT, Held, LastTrade, Seen, look
from deploy.surroundings import found
from shared import groups, streams
from shared.outcomes import Outcome, Result
from tests.deploy.onlookers import beside
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Source

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def config(tmp_path: Path, valkey: Valkey) -> Path:
    return beside(tmp_path, valkey)


async def seen(config: Path) -> Seen:
    return await look(found(config, os.environ), NOW)


async def say(client: Redis, fact: str, result: Result, took: float, account: str = ACCOUNT) -> None:
    """An outcome that was committed `took` seconds after the fact was captured."""
    captured, committed = NOW - timedelta(seconds=took), NOW
    outcome = Outcome(
        fact=fact,
        account=account,
        result=result,
        captured=captured,
        read=captured,
        committed=committed,
        instrument=fact,
    )
    await client.xadd(KEYS.outcomes, dict[Any, Any](CODEC.entry("outcomes", outcome)))


async def test_of_a_machine_on_which_nothing_ran_yet_its_names_are_known_and_nothing_is_made_up(config: Path) -> None:
    found = await seen(config)

    (source,), (account,) = found.sources, found.accounts
    assert (source.name, source.vitals, source.positions) == ("demo", None, ())
    assert (account.name, account.vitals, account.lag, account.last, account.mode) == (ACCOUNT, None, None, None, "")
    assert (found.trouble, found.dead) == ("", 0)


async def test_a_source_shows_what_is_open_with_what_is_coming_and_not_what_rests_or_was_closed(
    config: Path, client: Redis
) -> None:
    source = Source(client)
    await source.open()
    await source.buy("p1", "-0.3")
    await source.limit("resting", "0.5", "1.01")
    await source.fill(await source.limit("p2", "0.2", "1.08"))
    await source.levels("p2", stop_loss=Decimal("1.07"))
    (both,) = (await seen(config)).sources
    await source.close("p2")
    (one,) = (await seen(config)).sources

    short, long = (Held(instrument="EURUSD", quantity=Decimal(quantity)) for quantity in ("-0.3", "0.2"))
    assert sorted(both.positions, key=lambda held: held.quantity) == [short, long]
    assert one.positions == (short,)


async def test_the_last_trade_is_the_newest_that_took_effect_on_that_account(config: Path, client: Redis) -> None:
    await say(client, "OLD", "filled", took=9.0)
    await say(client, "NEW", "closed", took=0.25)
    await say(client, "REFUSED", "denied", took=1.0)
    await say(client, "OTHERS", "filled", took=1.0, account="other")
    await client.xadd(KEYS.outcomes, {"m": b"not one of ours"})

    (account,) = (await seen(config)).accounts

    assert account.last == LastTrade(at=NOW, instrument="NEW", result="closed", took=0.25)


async def test_among_many_accounts_none_hides_the_last_trade_of_another(config: Path, client: Redis) -> None:
    others = [f"other-{number}" for number in range(2 * RECENT // PER_ACCOUNT)]
    with config.open("a") as more:
        for name in others:
            more.write(f'\n[executor.accounts.{name}]\nsources = ["demo"]\n')
            more.write(f'[executor.accounts.{name}.terminal]\nkind = "simulated"\n')
    await say(client, "OURS", "filled", took=1.0)
    for name in others[:-1] * PER_ACCOUNT:
        await say(client, "THEIRS", "ignored", took=1.0, account=name)

    account = next(each for each in (await seen(config)).accounts if each.name == ACCOUNT)

    assert account.last is not None
    assert account.last.instrument == "OURS"


async def test_what_nobody_has_read_yet_is_counted_for_the_account_and_for_the_archive(
    config: Path, client: Redis
) -> None:
    await groups.join_orders(client, KEYS, ACCOUNT)
    for stream in (KEYS.orders, KEYS.outcomes):
        await groups.join_archive(client, stream, "archiver")
    source = Source(client)
    await source.open()
    await source.buy("p1")
    await source.buy("p2")
    await say(client, "EURUSD", "filled", took=0.1)
    await client.xreadgroup(ACCOUNT, "lane", {KEYS.orders: ">"}, count=1)
    await client.xadd(KEYS.dead, {"reason": "test"})

    found = await seen(config)

    (account,) = found.accounts
    assert (account.lag, account.pending) == (1, 1)
    assert account.oldest >= 0
    assert found.archive_lag == 3  # two facts and an outcome
    assert found.dead == 1


async def test_of_a_redis_that_gives_no_answer_only_the_trouble_is_known(config: Path) -> None:
    (config.parent / "data" / "valkey" / "port").write_text("1")

    found = await seen(config)

    assert found.trouble
    assert found == Seen(at=NOW, trouble=found.trouble)


async def test_of_an_account_that_was_removed_it_is_said_what_is_left_to_do(config: Path, client: Redis) -> None:
    await client.hset(KEYS.account("state", ACCOUNT), "removed", "2026-01-01")

    (account,) = (await seen(config)).accounts

    assert account.away == f"removed: take [executor.accounts.{ACCOUNT}] out of the settings file"


@pytest.mark.parametrize(("kept", "word"), [(True, "detached: nobody read"), (False, "restore it")])
async def test_an_account_that_was_detached_is_seen_to_be(config: Path, client: Redis, kept: bool, word: str) -> None:
    source = Source(client)
    await source.open()
    await source.buy("p1")
    entries: Any = await client.xrange(KEYS.orders)
    ((unread, _),) = entries
    place: dict[Any, Any] = {"detached": "2026-01-01", "unread": unread, "before": "0-1"}
    await client.hset(KEYS.account("place", ACCOUNT), mapping=place)
    if not kept:
        await client.xdel(KEYS.orders, unread)
    (account,) = (await seen(config)).accounts

    assert word in account.away
