"""Redis is emptied while somebody trades through the proxy; after `restore` the book and the terminals agree."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.demo import holdings, scenery, verdict
from deploy.demo.broker import ACCOUNTS, Broker
from deploy.demo.scenery import MARGINS, Scenery
from deploy.demo.stage import POLL_S, Stage
from deploy.demo.story import _holds
from deploy.demo.trader import Trader
from deploy.directory import free_port
from deploy.fleet import Fleet
from shared import streams
from shared.process import Stop
from tests.e2e.processes import run

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there are no embedded servers here"),
    pytest.mark.timeout(240),
    pytest.mark.slow,  # an exit of a netting account that may have been sent is looked for through the whole grace
]

PATIENCE_S = 60


@pytest.fixture
async def stop() -> AsyncIterator[Stop]:
    stop = Stop()
    yield stop
    await stop.end_tasks()


async def agreed(broker: Broker, fleet: Fleet) -> None:
    """Return as soon as every terminal holds and has traded what the broker's book says."""
    wrong: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                wrong = [each for name in MARGINS for each in await asyncio.to_thread(differences, broker, fleet, name)]
                if not wrong:
                    return
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(wrong) from None


def differences(broker: Broker, fleet: Fleet, name: str) -> list[str]:
    source = holdings.of_broker(broker.books[ACCOUNTS[0]])
    terminal = holdings.of_terminal(fleet.addresses[name], scenery.LOGINS[name], scenery.SERVER)
    checks = verdict.account_checks(name, source, terminal, netting=MARGINS[name] == "netting")
    return [f"{check.name}: {check.detail}" for check in checks if not check.good]


async def archived(redis: Redis) -> None:
    """Return as soon as the archive has everything that is in the streams."""
    keys = streams.Keys(scenery.NAMESPACE)
    async with asyncio.timeout(PATIENCE_S):
        for stream in (keys.orders, keys.outcomes):
            while any(g["lag"] or g["pending"] for g in await redis.xinfo_groups(stream) if g["name"] == b"archiver"):
                await asyncio.sleep(0.05)


async def test_after_a_flush_the_books_agree_again_and_trading_goes_on(tmp_path: Path, stop: Stop) -> None:
    place = Scenery(folder=tmp_path, proxy_port=free_port())
    async with AsyncExitStack() as stack:
        stage = Stage(stop, place, lambda _line: None)
        broker, fleet, _ = await stage._set(stack)
        trader = Trader(stage._seat(broker), POLL_S)
        stack.push_async_callback(trader.leave)
        await trader.sit_down()
        redis = streams.connect(fleet.redis.reveal())
        stack.push_async_callback(redis.aclose)

        await trader.place("EURUSD", "buy", "0.1")
        await trader.place("GBPUSD", "sell", "0.05")
        await trader.until(_holds("GBPUSD", 0.05))
        await trader.place("XAUUSD", "buy", "1", "limit", limitPrice="1000", durationType="GTC")
        await agreed(broker, fleet)
        await archived(redis)

        await redis.flushall()
        long = next(str(row["id"]) for row in trader.positions if row["instrument"] == "EURUSD")
        await trader.close(long, "0.04")
        done = await asyncio.to_thread(
            run, "--config", str(place.config), "restore", "--yes", "--data", str(place.data)
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.count("restored from the archive") == len(MARGINS)
        await asyncio.to_thread(run, "--config", str(place.config), "resume", "--all", "--data", str(place.data))

        await agreed(broker, fleet)
        await trader.place("EURUSD", "buy", "0.03")
        await trader.until(_holds("EURUSD", 0.09))
        short = next(str(row["id"]) for row in trader.positions if row["instrument"] == "GBPUSD")
        await trader.close(short)
        await trader.until(_holds("GBPUSD", 0))
        await agreed(broker, fleet)
        assert await redis.xlen(streams.Keys(scenery.NAMESPACE).dead) == 0
    assert stop.failure is None
