"""Each side is read as it is: what a real Valkey, a real PostgreSQL and a real terminal hold, and nothing else."""

import socket
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from archiver.migrate import migrate
from archiver.store import Store
from deploy.chaos import evidence
from deploy.directory import HOST
from deploy.embedded import Valkey
from executor.mt5.simulator.remote import Remote
from shared import groups, streams
from shared.outcomes import Pending
from shared.streams import Keys
from shared.wire import Codec
from tests.archiver.entries import KEYRING, fact, outcome, rows
from tests.conftest import Database
from tests.executor.mt5.simulated import SimulatorProcess

BUY, SELL = 0, 1
DEAL, PENDING, BUY_LIMIT = 1, 5, 2


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[SimulatorProcess]:
    """A hedging terminal with login 7 at the server Demo."""
    found = SimulatorProcess(tmp_path / "terminal", login=7, server="Demo")
    yield found
    found.stop()


async def test_the_streams_are_told_with_what_is_pending_owed_and_dead(valkey: Valkey) -> None:
    keys, codec = Keys("told"), Codec("told", KEYRING)
    redis = streams.connect(valkey.url)
    for account in ("first", "second"):
        await groups.join_orders(redis, keys, account)
    for number in (1, 2):
        order: Any = codec.entry("orders", fact(number))
        await redis.xadd(keys.orders, order)
    told: Any = codec.entry("outcomes", outcome(fact(1), account="first"))
    await redis.xadd(keys.outcomes, told)
    await redis.xreadgroup("first", "reader", {keys.orders: ">"}, count=1)
    await redis.hset(keys.account("debts", "second"), "EURUSD", "1")
    await redis.xadd("tradecopier:{told}:dead", {"text": "unreadable"})

    found = await evidence.streams(redis, "told", ("first", "second"))

    await redis.aclose()
    assert found["facts"] == (fact(1).id, fact(2).id)
    assert [(o["kind"], o["account"], o["result"]) for o in found["outcomes"]] == [("outcome", "first", "filled")]
    assert found["pending"] == {"first": 1, "second": 0}
    assert found["debts"] == {"first": 0, "second": 1}
    assert found["dead"] == ("unreadable",)


async def test_the_archive_is_told_by_its_namespace_and_with_ends_only(postgres: Database) -> None:
    migrate(postgres.dsn)
    owed = Pending(fact=fact(2).id, account="first", state="owed", since=fact(2).captured)
    async with Store(postgres.dsn) as store:
        assert await store.save(rows([fact(1), fact(2), outcome(fact(1), account="first"), owed])) == []

    found = evidence.archive(postgres.dsn, "main")

    assert found["archived_facts"] == {fact(1).id, fact(2).id}
    assert [(account, of) for account, of, _ in found["archived_ends"]] == [("first", fact(1).id)]
    assert evidence.archive(postgres.dsn, "another") == {"archived_facts": frozenset(), "archived_ends": ()}


def test_a_terminal_tells_its_deals_with_a_sign_what_is_open_and_what_rests(broker: SimulatorProcess) -> None:
    remote = Remote.at(broker.address)
    remote.price("EURUSD", "1.10000", "1.10010")
    remote.trade(action=DEAL, symbol="EURUSD", volume=0.3, type=BUY, magic=5)
    remote.trade(action=DEAL, symbol="EURUSD", volume=0.1, type=SELL, magic=6)
    remote.trade(action=PENDING, symbol="EURUSD", volume=0.2, type=BUY_LIMIT, price=1.05)
    remote.close()

    found = evidence.terminal(broker.address, 7, "Demo")

    assert [(d.mark, d.symbol, d.lots) for d in found.deals] == [
        (5, "EURUSD", Decimal("0.3")),
        (6, "EURUSD", Decimal("-0.1")),
    ]
    assert sorted((mark, lots) for (_, _, mark), lots in found.open.items()) == [
        (5, Decimal("0.3")),
        (6, Decimal("-0.1")),
    ]
    assert {position for position, _, _ in found.open} == {deal.position for deal in found.deals}
    assert found.resting == 1


def test_a_terminal_that_does_not_answer_is_an_error_and_not_an_empty_one() -> None:
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(OSError, match="does not answer"):
        evidence.terminal(f"{HOST}:{port}", 7, "Demo")


def test_ends_are_counted_by_result_and_what_was_not_done_by_its_reason_too() -> None:
    told = [
        {"kind": "outcome", "result": "filled"},
        {"kind": "outcome", "result": "filled"},
        {"kind": "outcome", "result": "denied", "reason": "too-old"},
        {"kind": "pending", "state": "owed"},
    ]

    assert evidence.ends(told) == {"filled": 2, "denied (too-old)": 1}
