"""A terminal that hangs: what was asked of it is found out, and no other instrument and no other account waits."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.mt5.simulator.faults import FaultKind
from shared import outcomes, process
from tests.executor.rig import KEYS, NAMESPACE, PATIENCE_S, Simulator, Source, told
from tests.executor.seals import join
from tests.executor.test_service import KEY, executor

DEADLINE_S, GRACE_S = 1.0, 4.0
RESTART_S = 15.0
"""What a new child may take to be connected again on a busy machine; it is there in a fraction of that."""

STOPS_S = 60.0
"""Longer than a service has before it is ended by force, with another exit code."""

HUNG, WELL = "hung", "well"
ACCOUNT = """
[executor.accounts.{name}]
sources = ["demo"]
window = 0.5
deadline = {deadline}
grace = {grace}
[executor.accounts.{name}.terminal]
kind = "simulated"
address = "{address}"
login = 1
server = "Demo"
{more}
[executor.accounts.{name}.limits]
max-age = 60
max-drift-percent = 100
max-spread-percent = 100
"""


@asynccontextmanager
async def two_accounts(
    valkey: Valkey, redis: Redis, folder: Path, hung: str = "", deadline: float = DEADLINE_S
) -> AsyncIterator[dict[str, Simulator]]:
    """One executor that serves two accounts, each with its own terminal; `hung` is set for that of the first one.

    When it is told to stop, it does so by itself.
    """
    grace = GRACE_S - DEADLINE_S + deadline
    simulators = {name: Simulator(folder / name) for name in (HUNG, WELL)}
    key, config = folder / "signing.key", folder / "tradecopier.toml"
    key.write_text(KEY)
    key.chmod(0o600)
    text = f'[redis]\nnamespace = "{NAMESPACE}"\n[security]\nsigning-key-file = "{key}"\n'
    for name, simulator in simulators.items():
        await simulator.start()
        simulator.price("EURUSD", "1.08504", "1.08512")
        more = hung if name == HUNG else ""
        text += ACCOUNT.format(name=name, deadline=deadline, grace=grace, address=simulator.address, more=more)
        await join(redis, name)
    config.write_text(text)
    child = executor(config, valkey)
    try:
        yield simulators
        assert process.end(child, [signal.SIGTERM], patience=STOPS_S) == 0
    finally:
        process.end(child, [signal.SIGKILL])
        for simulator in simulators.values():
            simulator.stop()


async def message(redis: Redis, account: str, fact: str, *kinds: str) -> outcomes.Outcome | outcomes.Pending:
    """The first message of an account about a fact: its end, or one of the states."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            said = [m for m in await told(redis) if isinstance(m, outcomes.Outcome | outcomes.Pending)]
            for m in said:
                word = m.result if isinstance(m, outcomes.Outcome) else m.state
                if (m.account, m.fact) == (account, fact) and word in kinds:
                    return m
            await redis.xread({KEYS.outcomes: "$"}, block=50)


def when(said: outcomes.Outcome | outcomes.Pending) -> datetime:
    return said.committed if isinstance(said, outcomes.Outcome) else said.since


@pytest.mark.parametrize("execute", [True, False], ids=["done", "not done"])
async def test_an_opening_that_hangs_is_unresolved_soon_and_holds_up_nothing_else(
    valkey: Valkey, redis: Redis, source: Source, tmp_path: Path, execute: bool
) -> None:
    async with two_accounts(valkey, redis, tmp_path) as terminals:
        first = await source.buy("o1")
        for name in terminals:
            await message(redis, name, first.id, "filled")
        terminals[HUNG].goes_wrong(FaultKind.HANG, execute=execute)
        began = monotonic()
        opening = await source.buy("o2")
        unknown = await message(redis, HUNG, opening.id, "unresolved", "filled")
        assert monotonic() - began < DEADLINE_S + RESTART_S
        elsewhere = await message(redis, WELL, opening.id, "filled")
        assert when(elsewhere) < when(unknown)  # the other account did not wait for the child to be killed
        instrument = await source.buy("o3", instrument="GBPUSD")
        exit_ = await source.close("o1")
        others = [await message(redis, HUNG, instrument.id, "filled"), await message(redis, HUNG, exit_.id, "closed")]
        end = await message(redis, HUNG, opening.id, "filled")
        assert execute or max(map(when, others)) < when(end)  # both went by while nobody knew
        volumes = [await terminals[name].volumes() for name in (HUNG, WELL)]

    assert sorted(volumes[0]) == sorted(volumes[1]) == [("EURUSD", 0, 0.1), ("GBPUSD", 0, 0.1)]


async def test_a_close_that_hangs_is_done_or_owed_soon_and_once(
    valkey: Valkey, redis: Redis, source: Source, tmp_path: Path
) -> None:
    async with two_accounts(valkey, redis, tmp_path) as terminals:
        opened = await source.buy("o1")
        for name in terminals:
            await message(redis, name, opened.id, "filled")
        terminals[HUNG].goes_wrong(FaultKind.HANG)
        began = monotonic()
        part = await source.close("o1", "0.04")
        first = await message(redis, HUNG, part.id, "owed", "closed")
        assert monotonic() - began < DEADLINE_S + RESTART_S
        assert when(await message(redis, WELL, part.id, "closed")) < when(first)
        await message(redis, HUNG, part.id, "closed")
        assert await terminals[HUNG].volumes() == [("EURUSD", 0, 0.06)]
        assert len(await terminals[HUNG].deals()) == 2


SILENT = f"child-command = {[sys.executable, '-c', 'import time; time.sleep(600)']}"


async def test_a_child_that_never_comes_up_keeps_no_other_account_waiting_and_ends_when_it_is_told_to(
    valkey: Valkey, redis: Redis, source: Source, tmp_path: Path
) -> None:
    """As Wine may do. Its executor serves the other account meanwhile, and stops at once."""
    async with two_accounts(valkey, redis, tmp_path, SILENT) as terminals:
        fact = await source.buy("o1")
        await message(redis, WELL, fact.id, "filled")
        assert await terminals[HUNG].volumes() == []


async def test_an_executor_is_told_to_stop_while_a_call_hangs_and_leaves_it_to_be_found_out(
    valkey: Valkey, redis: Redis, source: Source, tmp_path: Path
) -> None:
    """It does not wait for an answer that may take minutes, and what it was about is still to be done."""
    async with two_accounts(valkey, redis, tmp_path, deadline=600.0) as terminals:
        terminals[HUNG].goes_wrong(FaultKind.HANG, execute=True)
        await source.buy("o1")
        async with asyncio.timeout(PATIENCE_S):
            while not await terminals[HUNG].volumes():
                await asyncio.sleep(0.05)

    left: Any = await redis.xpending(KEYS.orders, HUNG)
    assert left["pending"] == 1
    assert not [m for m in await told(redis) if isinstance(m, outcomes.Outcome) and m.account == HUNG]
