"""What would happen now is found out beside the lane, and a terminal that gives no answer is said."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from redis.asyncio import Redis

from deploy.candidates import gathered
from deploy.embedded import Valkey
from deploy.foresight import UNKNOWN, Outlook, outlooks, with_address
from deploy.surroundings import Surroundings, found
from executor.replay import Wish
from executor.settings import Simulated
from tests.deploy.onlookers import beside
from tests.executor.rig import ACCOUNT, KEYS, Simulator, Source, account, ended, running
from tests.executor.test_replaying import denied


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    simulator = Simulator(tmp_path / "data" / "terminals" / ACCOUNT)
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    yield simulator
    simulator.stop()


@pytest.fixture
def around(tmp_path: Path, valkey: Valkey, simulator: Simulator) -> Surroundings:
    """Settings that follow everything, and a terminal whose address is in the data folder."""
    machine = found(beside(tmp_path, valkey), {}).machine
    terminal = Simulated(login=1, server="Demo")
    wide = msgspec.structs.replace(account(), terminal=terminal)
    accounts = msgspec.structs.replace(machine.executor, accounts={ACCOUNT: wide})
    return Surroundings(machine=msgspec.structs.replace(machine, executor=accounts))


async def foreseen(around: Surroundings, redis: Redis) -> list[Outlook]:
    candidates = await gathered(around, redis, ACCOUNT, Wish(denied="any"))
    return await outlooks(around, redis, ACCOUNT, candidates, lambda: datetime.now(UTC))


async def test_it_is_what_the_lane_would_do_and_nothing_is_sent(
    around: Surroundings, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await denied(redis, source, "o1")
        await denied(redis, source, "o2", "0.3")
        await source.close("o2")
        await ended(redis, 3)
        assert await foreseen(around, redis) == [
            Outlook("buy 0.1 EURUSD at 1.08512", "+0.00 %"),
            Outlook("nothing: the source does not show it any more", "+0.00 %"),
        ]
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", "close-only")
        assert (await foreseen(around, redis))[0].text == "nothing: the account is close-only"
    assert await simulator.deals() == []


@pytest.mark.parametrize("mode", [b"\xff", b"nonsense", b"", b"ACTIVE"])
async def test_what_is_no_state_lets_nothing_through(
    around: Surroundings, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, mode: bytes
) -> None:
    """As the fence sees it, too."""
    async with running(valkey.url, simulator):
        await denied(redis, source)
    await redis.hset(KEYS.account("state", ACCOUNT), "mode", cast(Any, mode))
    assert [each.text for each in await foreseen(around, redis)] == ["nothing: the account is halted"]


async def test_of_an_account_whose_memory_cannot_be_read_nothing_is_foreseen(
    around: Surroundings, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await denied(redis, source)
    await redis.hset(KEYS.account("links", ACCOUNT), "x", "[" * 3000)
    expected = f"{UNKNOWN}: what Redis remembers of the account cannot be read"
    assert [each.text for each in await foreseen(around, redis)] == [expected]


async def test_a_terminal_that_gives_no_answer_is_said_and_the_list_is_there(
    around: Surroundings, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await denied(redis, source)
    simulator.stop()
    (outlook,) = await foreseen(around, redis)
    assert outlook.text.startswith(f"{UNKNOWN}: ")


def test_only_a_simulated_terminal_without_an_address_is_looked_for(around: Surroundings, simulator: Simulator) -> None:
    terminal = with_address(around, ACCOUNT).terminal
    assert isinstance(terminal, Simulated)
    assert terminal.address == simulator.address
    named = msgspec.structs.replace(around.executor.accounts[ACCOUNT], terminal=Simulated(address="127.0.0.1:7"))
    executor = msgspec.structs.replace(around.executor, accounts={ACCOUNT: named})
    other = Surroundings(machine=msgspec.structs.replace(around.machine, executor=executor))
    assert with_address(other, ACCOUNT) == named
