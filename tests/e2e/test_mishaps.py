"""Two things go wrong at once on an account, and still its positions and its outcomes say what the source says.

Each story is one that a random search over stories and faults has once shown to end wrong.
"""

import asyncio
import os
import signal
import sys
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from executor.mt5.simulator.remote import Remote
from executor.mt5.terminal import Terminal
from shared import facts, outcomes, process
from shared.facts import Levels
from tests.executor.conftest import netting, redis, simulator, source
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running, told
from tests.executor.test_service import settings_file

__all__ = ["netting", "redis", "simulator", "source"]

D = Decimal
MARKET_CLOSED: dict[str, Any] = {"kind": FaultKind.RETCODE, "code": 10018}
NO_ANSWER: dict[str, Any] = {"kind": FaultKind.NONE, "code": -1}


async def at_rest(redis: Redis, simulator: Simulator, count: int) -> tuple[list[tuple[str, str]], Decimal]:
    """Each fact's one result, and the account's net lots, once nothing is owed or under way any more."""
    found = await ended(redis, count)
    async with asyncio.timeout(PATIENCE_S):
        while await redis.hlen(KEYS.account("debts", ACCOUNT)) or (await pending(redis)):
            await asyncio.sleep(0.05)
    assert len(found) == len({o.fact for o in found})
    net = sum((D(str(v)) * (1 - 2 * side) for _, side, v in await simulator.volumes()), D(0))
    return [(o.fact.rpartition(":")[2], o.result) for o in found], net


async def pending(redis: Redis) -> int:
    summary: Any = await redis.xpending(KEYS.orders, ACCOUNT)
    return int(summary["pending"])


async def owed(redis: Redis) -> None:
    """Wait until the account owes an exit."""
    async with asyncio.timeout(PATIENCE_S):
        while not await redis.hlen(KEYS.account("debts", ACCOUNT)):
            await asyncio.sleep(0.01)


async def test_a_close_that_is_owed_outlives_the_news_of_its_fill(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        simulator.goes_wrong(**MARKET_CLOSED, times=3)
        closed = await source.close("o1")
        exposure = replace(closed.exposure, revision=3, before=closed.exposure.after, after=facts.Amount())
        await source.publish(replace(closed, id=f"{closed.id}-filled", seq=closed.seq + 1, exposure=exposure))
        _, net = await at_rest(redis, simulator, 3)

    assert net == 0


async def test_a_part_close_that_is_owed_outlives_a_moved_stop(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(**MARKET_CLOSED, times=4)
        await source.close("o1", "0.5")
        await source.levels("o1", stop_loss=D("0.5"))
        _, net = await at_rest(redis, simulator, 3)

    assert net == D("0.5")


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_a_part_close_without_an_answer_and_the_next_one(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, execute: bool
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(**NO_ANSWER, execute=execute)
        await source.close("o1", "0.5")
        await source.close("o1", "0.25")
        _, net = await at_rest(redis, simulator, 3)

    assert net == D("0.25")


async def test_an_exit_that_a_dead_lane_had_read_joins_what_is_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(**MARKET_CLOSED, times=3)
        await source.close("o1", "0.5")
        await owed(redis)
    await source.close("o1", "0.25")
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"}, count=1)

    async with running(valkey.url, simulator):
        found, net = await at_rest(redis, simulator, 3)

    assert (len(found), net) == (3, D("0.25"))


async def test_an_addition_that_waits_never_outlives_a_close_that_was_owed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(grace=3.0)):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        simulator.goes_wrong(**NO_ANSWER)
        simulator.goes_wrong(**MARKET_CLOSED)
        await source.buy("o2", "0.1")
        await source.buy("o1", "0.2")
        await source.close("o1")
        _, net = await at_rest(redis, simulator, 4)

    assert net == D("0.1")


async def test_an_addition_that_is_done_late_is_kept_as_far_as_the_newest_total_has_it(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(grace=3.0)):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.LATE, delay=1500)
        await source.buy("o1", "0.2")
        await asyncio.sleep(1.2)  # the lane has begun anew, and the terminal has not traded yet
        await source.close("o1", "0.3")
        _, net = await at_rest(redis, simulator, 3)

    assert net == D("0.1")


async def test_a_late_addition_on_a_netting_account_leaves_the_volume_of_others_alone(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    with closing(Remote.at(netting.address)) as remote:
        remote.trade(action=1, symbol="EURUSD", volume=0.5, type=0)
    async with running(valkey.url, netting, account(grace=3.0)):
        await source.buy("o1", "0.2")
        await ended(redis, 1)
        netting.goes_wrong(FaultKind.LATE, delay=1500)
        await source.buy("o1", "0.2")
        await asyncio.sleep(1.2)  # as above
        await source.close("o1", "0.3")
        _, net = await at_rest(redis, netting, 3)

    assert net == D("0.6")


async def test_a_netting_exit_without_an_answer_is_done_after_another_links_exit(
    valkey: Valkey, redis: Redis, source: Source, netting: Simulator
) -> None:
    async with running(valkey.url, netting):
        await source.buy("o1", "0.1")
        await source.buy("o2", "0.2")
        await ended(redis, 2)
        netting.goes_wrong(**NO_ANSWER)
        await source.close("o1")
        await owed(redis)
        await source.close("o2")
        _, net = await at_rest(redis, netting, 4)

    assert net == 0


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.NONE])
async def test_an_opening_without_its_stop_and_without_an_answer_gets_its_stop(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, kind: FaultKind
) -> None:
    simulator.goes_wrong(FaultKind.RETCODE, code=10016)
    simulator.goes_wrong(kind, execute=True)
    async with running(valkey.url, simulator), simulator.eyes() as eyes:
        await source.buy("o1", levels=Levels(stop_loss=D("0.5")))
        await ended(redis, 1)
        positions: Any = await eyes.positions()

    assert [p.sl for p in positions] == [0.5]


async def test_a_lane_that_stands_still_after_the_fence_opens_nothing_twice(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, tmp_path: Path
) -> None:
    """It is stopped there for longer than its lease and the other lane's grace, then goes on."""
    config, here = settings_file(tmp_path, simulator.address), tmp_path / "stopped"
    code = f"""if True:
        import os, pathlib, signal
        import msgspec
        from executor import service
        from shared.process import run
        def reach(point):
            if point == "fenced":
                pathlib.Path({str(here)!r}).touch()
                os.kill(os.getpid(), signal.SIGSTOP)
        plan = service.plan(pathlib.Path({str(config)!r}), os.environ, ())
        run(service.main(msgspec.structs.replace(plan, reach=reach)), "executor")
    """
    child = process.spawn([sys.executable, "-c", code], env={**os.environ, "TRADECOPIER_REDIS__URL": valkey.url})
    try:
        await source.buy("o1")
        async with asyncio.timeout(PATIENCE_S):
            while not here.exists():
                await asyncio.sleep(0.01)
        async with running(valkey.url, simulator, lease_s=1.0, wait=False):
            await ended(redis, 1)
            child.send_signal(signal.SIGCONT)
            await asyncio.sleep(1.0)  # all that it does now, it does at once
    finally:
        child.send_signal(signal.SIGCONT)
        process.end(child, [signal.SIGTERM])

    assert len(await simulator.deals()) == 1


async def test_what_was_live_stays_untouched_under_settings_that_say_shadow(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account(mode="live")):
        await source.buy("o1")
        await ended(redis, 1)
    async with running(valkey.url, simulator, account(mode="shadow")):
        await source.buy("o2")
        found, net = await at_rest(redis, simulator, 2)

    assert (found[1], net) == (("o2/1", "ignored"), D("0.1"))


async def test_halted_is_never_loosened_by_an_entry_that_is_held(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", "halted")
        await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
        async with asyncio.timeout(PATIENCE_S):
            while not any(isinstance(m, outcomes.Notice) for m in await told(redis)):
                await asyncio.sleep(0.02)

    assert await redis.hget(KEYS.account("state", ACCOUNT), "mode") == b"halted"


async def test_two_entries_behind_a_removed_one_are_followed(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
    await source.buy("o2")
    raw: Any = await redis.xrevrange(KEYS.orders, count=1)
    await redis.xdel(KEYS.orders, raw[0][0])
    await source.close("o1", "0.05")
    await source.close("o1", "0.02")
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"}, count=5)

    async with running(valkey.url, simulator):
        _, net = await at_rest(redis, simulator, 3)

    assert net == D("0.03")


async def test_a_terminal_that_shows_no_position_yet_proves_no_close(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, blind = Terminal.positions, asyncio.Event()

    async def positions(self: Terminal, symbol: str | None = None) -> Any:
        found = await real(self, symbol)
        return () if blind.is_set() else found

    monkeypatch.setattr(Terminal, "positions", positions)
    async with running(valkey.url, simulator):
        await source.buy("o1")
        await ended(redis, 1)
        blind.set()
        await source.close("o1")
        await asyncio.sleep(0.5)  # however it decides, it has read that by now
        blind.clear()
        _, net = await at_rest(redis, simulator, 2)

    assert net == 0
