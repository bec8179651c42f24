"""Groups, tables and pinned prices, made before anything needs them."""

import sys
from decimal import Decimal as D
from pathlib import Path

import psycopg
import pytest

from deploy.embedded import Valkey
from deploy.fleet import ROOT
from deploy.groundwork import join_groups, migrated, pin_prices
from deploy.worker import Job, Worker
from executor.mt5.simulator.client import connect
from executor.mt5.simulator.surface import Surface
from shared import streams
from shared.process import UserError
from shared.settings import Secret
from shared.wire import Codec, Keyring
from tests.conftest import Database

CODEC = Codec("main", Keyring(current="k1", keys={"k1": b"1" * 32}))


async def groups(url: str, stream: str) -> set[bytes]:
    client = streams.connect(url)
    try:
        return {group["name"] for group in await client.xinfo_groups(stream)}
    finally:
        await client.aclose()


async def test_every_account_and_the_archive_get_their_group_and_keep_it(valkey: Valkey) -> None:
    keys = streams.Keys("main")
    for _ in range(2):
        await join_groups(Secret(valkey.url), CODEC, ["one", "two-b"])
    assert await groups(valkey.url, keys.orders) == {b"one", b"two-b", b"archiver"}
    assert await groups(valkey.url, keys.outcomes) == {b"archiver"}


async def test_what_stands_in_place_of_one_account_s_keys_keeps_no_other_from_joining(
    valkey: Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    keys = streams.Keys("main")
    client = streams.connect(valkey.url)
    await client.set(keys.account("state", "one"), "something else")
    await client.aclose()
    await join_groups(Secret(valkey.url), CODEC, ["one", "two-b"])
    assert {b"two-b", b"archiver"} <= await groups(valkey.url, keys.orders)
    assert "one: it does not join, and the others do: somebody has put something else" in caplog.text


async def test_a_server_that_may_lose_trades_is_refused_in_one_line(valkey: Valkey) -> None:
    client = streams.connect(valkey.url)
    await client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(UserError, match=r"redis.url: .*maxmemory-policy noeviction") as raised:
            await join_groups(Secret(valkey.url), CODEC, ["one"])
    finally:
        await client.config_set("maxmemory-policy", "noeviction")
        await client.aclose()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis://127.0.0.1:{port}/0"])
async def test_a_server_that_does_not_serve_us_is_one_line_without_its_password(valkey: Valkey, url: str) -> None:
    with pytest.raises(UserError, match=r"^redis.url: the server does not serve us: ") as raised:
        await join_groups(Secret(url.format(port=valkey.port)), CODEC, ["one"])
    assert valkey.password not in str(raised.value)


async def test_the_tables_are_there_afterwards(postgres: Database) -> None:
    for _ in range(2):
        await migrated(Secret(postgres.dsn))
    with psycopg.connect(postgres.dsn) as connection:
        assert connection.execute("select count(*) from facts").fetchone() == (0,)


async def test_a_database_that_does_not_answer_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^postgres.dsn: .*Connection refused") as raised:
        await migrated(Secret("postgresql://u:hush@127.0.0.1:1/x"))
    assert "\n" not in str(raised.value)
    assert "hush" not in str(raised.value)


async def test_prices_of_a_simulated_terminal_stand_still_once_they_are_pinned(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "executor.mt5.simulator.server", "--state", str(tmp_path)]
    terminal = Worker(Job("terminal", argv, {"PYTHONPATH": str(ROOT)}, tmp_path / "address"), tmp_path)
    await terminal.started()
    try:
        address = (tmp_path / "address").read_text()
        pin_prices(address, {"EURUSD": D("1.25")})
        surface = Surface(connect)
        surface.initialize(address)
        tick = surface.symbol_info_tick("EURUSD")
        surface.shutdown()
        assert (tick.bid, tick.ask) == (1.25, 1.25)
        with pytest.raises(UserError, match="no symbol NOPE"):
            pin_prices(address, {"NOPE": D(1)})
    finally:
        await terminal.stop()
