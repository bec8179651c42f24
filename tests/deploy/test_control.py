"""What a command writes for an account, whom it means, and that it writes nothing when that is in doubt."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest
from redis.asyncio import Redis

from deploy import control
from deploy.control import chosen, order
from deploy.embedded import Valkey
from deploy.surroundings import found
from executor.orders import ordered
from executor.states import Command
from shared import streams
from shared.process import UserError
from tests.deploy.onlookers import settings
from tests.executor.rig import ACCOUNT, CODEC, KEYS

SECOND = """
[executor.accounts.second]
sources = ["demo"]
mode = "shadow"
[executor.accounts.second.terminal]
kind = "simulated"
"""


@pytest.fixture
async def client(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """Settings of two accounts: `main`, which trades, and `second`, which only computes. No server is there."""
    config = settings(tmp_path)
    config.write_text(config.read_text() + SECOND)
    return config


async def state(client: Redis, account: str) -> dict[str, str]:
    raw = cast(dict[bytes, bytes], await client.hgetall(KEYS.account("state", account)))
    return {name.decode(): value.decode() for name, value in raw.items()}


async def test_resume_goes_no_further_than_the_settings_let_an_account_go(client: Redis) -> None:
    told = await order(client, KEYS, lambda: CODEC, "resume", {"trades": True, "computes": False})

    assert {each.account: str(each.transition.state) for each in told} == {"trades": "active", "computes": "shadow"}
    for account, mode in (("trades", "active"), ("computes", "shadow")):
        kept = await state(client, account)
        assert (kept.pop("mode"), kept.pop("reason")) == (mode, "operator")
        assert list(kept) == ["rearm"], "limits on losses count from now"


async def test_only_flatten_asks_for_closing_and_each_one_anew(client: Redis) -> None:
    moments = []
    commands: tuple[Command, ...] = ("close-only", "flatten", "pause", "resume", "flatten")
    for command in commands:
        await order(client, KEYS, lambda: CODEC, command, {ACCOUNT: True})
        moments.append(ordered(CODEC, ACCOUNT, "flatten", (await state(client, ACCOUNT)).get("flatten", "")))

    never, first, *kept, second = moments
    assert never == 0
    assert kept == [first, first]
    assert second > first > 0
    await client.hset(KEYS.account("state", ACCOUNT), "stopped", f"removed {second + 10**8}")
    await order(client, KEYS, lambda: CODEC, "resume", {ACCOUNT: True})
    assert ordered(CODEC, ACCOUNT, "rearm", (await state(client, ACCOUNT))["rearm"]) > second + 10**8
    await client.hset(KEYS.account("state", ACCOUNT), "flattened", str(second + 10**9))  # by a clock that was fast
    await order(client, KEYS, lambda: CODEC, "flatten", {ACCOUNT: True})
    assert ordered(CODEC, ACCOUNT, "flatten", (await state(client, ACCOUNT))["flatten"]) > second + 10**9


async def test_an_account_that_was_not_meant_keeps_its_state(client: Redis) -> None:
    await order(client, KEYS, lambda: CODEC, "close-only", {"one": True, "two": True})
    await order(client, KEYS, lambda: CODEC, "pause", {"two": True})

    assert (await state(client, "one"))["mode"] == "close-only"
    assert (await state(client, "two"))["mode"] == "halted"


@pytest.mark.parametrize("command", ["pause", "close-only", "flatten", "resume"])
async def test_what_stands_in_place_of_one_account_s_state_keeps_no_command_from_it_or_from_others(
    client: Redis, command: Command
) -> None:
    await client.set(KEYS.account("state", ACCOUNT), "something else")
    assert await control.lacking(client, KEYS, [ACCOUNT]) == []
    told = await order(client, KEYS, lambda: CODEC, command, {ACCOUNT: True, "second": True})
    for each in told:
        assert (await state(client, each.account))["mode"] == str(each.transition.state)
    assert len(told) == 2


def test_the_accounts_that_are_meant_come_with_whether_they_may_trade(two: Path) -> None:
    surroundings = found(two, os.environ)

    assert chosen(surroundings, ["second"], everything=False) == {"second": False}
    assert chosen(surroundings, [], everything=True) == {"main": True, "second": False}
    with pytest.raises(UserError, match="name accounts, or give --all; there are: main, second"):
        chosen(surroundings, ["second"], everything=True)
    with pytest.raises(UserError, match="there is no account third"):
        chosen(surroundings, ["second", "third"], everything=False)


def test_a_redis_that_does_not_answer_is_said_to_have_changed_nothing(tmp_path: Path) -> None:
    server = tmp_path / "data" / "valkey"
    server.mkdir(parents=True)
    (server / "port").write_text("1")
    (server / "password").write_text("hidden")

    with pytest.raises(UserError, match="nothing was changed, Redis does not answer") as raised:
        control.carry_out(settings(tmp_path), None, "close-only", (ACCOUNT,), everything=False, yes=None)
    assert "hidden" not in str(raised.value)
