"""`tradecopier replay` and `resolve` as an operator types them, beside a machine that works."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from tests.deploy.onlookers import beside
from tests.executor.rig import ACCOUNT, PATIENCE_S, Simulator, Source, account, ended, running, told
from tests.executor.test_replaying import denied
from tests.executor.test_resolving import NEVER, O1, owed, unresolved
from tests.processes import ROOT


@pytest.fixture
async def simulator(tmp_path: Path) -> AsyncIterator[Simulator]:
    """A terminal whose address is where `up` would have written it."""
    folder = tmp_path / "data" / "terminals" / ACCOUNT
    simulator = Simulator(folder)
    await simulator.start()
    simulator.price("EURUSD", "1.08504", "1.08512")
    yield simulator
    simulator.stop()


@pytest.fixture
def config(tmp_path: Path, valkey: Valkey, simulator: Simulator) -> Path:
    """The settings of that machine: guards that depend on a simulator's prices are wide open."""
    path = beside(tmp_path, valkey)
    path.write_text(
        path.read_text()
        + f"""
        login = 1
        server = "Demo"
        [executor.accounts.{ACCOUNT}.limits]
        max-drift-percent = 100
        max-spread-percent = 100
        """
    )
    return path


async def typed(config: Path, *words: str, answer: str = "") -> tuple[int, str]:
    """Exit code and all that is printed."""
    command = [sys.executable, "-m", "deploy", "--config", str(config), *words]
    run = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, input=answer, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    return run.returncode, run.stdout + run.stderr


async def test_replay_lists_asks_hands_over_and_shows_what_came_of_it(
    config: Path, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        fact = await denied(redis, source)
        code, listed = await typed(config, "replay", "--account", ACCOUNT, "--denied", "state", "--dry-run")
        refused = await typed(config, "replay", "--account", ACCOUNT, "--denied", "any", answer="n\n")
        assert await simulator.deals() == []
        done = await typed(config, "replay", "--account", ACCOUNT, "--id", fact.id, "--yes")
        again = await typed(config, "replay", "--account", ACCOUNT, "--id", fact.id, "--yes")

    lines = listed.splitlines()
    assert code == 0
    assert lines[0] == f"{fact.id}: order.placed market buy 0.1 EURUSD"
    assert "s old, price +0.00 % since; denied (state)" in lines[1]
    assert lines[2] == "  attempt 2 now: buy 0.1 EURUSD at 1.08512"
    assert refused[0] == 2
    assert "Hand 1 fact to main?" in refused[1]
    assert "nothing was handed over" in refused[1]
    assert done[0] == 0
    assert f"{fact.id}: filled" in done[1]
    assert again == (0, f"nothing to replay: no fact that is meant has ended on {ACCOUNT} without effect\n")
    assert len(await simulator.deals()) == 1


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("replay", "--account", ACCOUNT), "say which: --dead"),
        (("replay", "--account", "nobody", "--dead"), "there is no account nobody; there are: main"),
        (("resolve", "--account", ACCOUNT, "--as", "dead"), "say what is to end: one of --id FACT"),
        (("resolve", "--account", ACCOUNT, "--as", "dead", "--id", "a", "--link", "b"), "say what is to end: one of"),
        (("resolve", "--account", ACCOUNT, "--as", "dead", "--id", "a"), "nothing named a is unfinished on main"),
    ],
)
async def test_what_is_not_said_well_is_one_line(config: Path, redis: Redis, words: tuple[str, ...], says: str) -> None:
    code, text = await typed(config, *words)
    assert code == 2
    assert text.startswith(f"tradecopier: {says}")
    assert text.count("\n") == 1


async def test_with_nobody_at_work_for_the_account_both_say_so_in_one_line(
    config: Path, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, NEVER):
        await denied(redis, source, "o9")
        fact = await unresolved(redis, source, simulator)
    tried = await typed(config, "replay", "--account", ACCOUNT, "--denied", "any", "--yes")
    resolved = await typed(config, "resolve", "--account", ACCOUNT, "--id", fact.id, "--as", "dead", "--yes")
    for code, text in (tried, resolved):
        assert code == 2
        assert text.splitlines()[-1].startswith(f"tradecopier: {ACCOUNT}: nobody works for the account: start")


async def test_resolve_says_what_it_changes_and_changes_it(
    config: Path, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, NEVER):
        fact = await unresolved(redis, source, simulator)
        words = ("resolve", "--account", ACCOUNT, "--id", fact.id, "--as", "denied", "--note", "seen in the terminal")
        refused = await typed(config, *words, answer="n\n")
        done = await typed(config, *words, "--yes")
        found = await ended(redis, 1)

    assert refused[0] == 2
    assert "the account holds nothing of it, and its total counts as followed" in refused[1]
    assert refused[1].rstrip().endswith("nothing was changed")
    assert done[0] == 0
    assert done[1].splitlines()[-1] == f"{fact.id}: denied (ended by hand (seen in the terminal))"
    assert found[0].reason == "by-hand"


async def test_resolve_of_what_a_position_owes_says_how_many_lots_are_not_ours_any_more(
    config: Path, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator, account()):
        await owed(redis, source, simulator)
        code, text = await typed(config, "resolve", "--account", ACCOUNT, "--link", O1, "--as", "closed", "--yes")
        await ended(redis, 3)
    assert code == 0
    assert f"{O1}: 0.3 lots of EURUSD are ours and 0 should be" in text
    assert "0.3 lots are not ours any more" in text
    assert f"what {O1} owed is ended by hand" in text


async def test_the_drill_replaying_unacknowledged_trades_after_a_crash(
    config: Path, valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    """As docs/recovery.md has it, step by step."""
    async with running(valkey.url, simulator):
        await source.buy("o0")
        await ended(redis, 1)
    missed = [await source.buy("o1"), await source.buy("o2")]  # the executor is dead, the trader goes on
    waiting = await typed(config, "replay", "--account", ACCOUNT, "--unfinished", "--dry-run")
    young = account().limits
    strict = account(limits=type(young)(**{**{f: getattr(young, f) for f in young.__struct_fields__}, "max_age": 1}))
    await asyncio.sleep(1.1)  # the age of an opening is real time
    async with running(valkey.url, simulator, strict):
        assert [o.reason for o in (await ended(redis, 3))[1:]] == ["too-old", "too-old"]
        unfinished = await typed(config, "replay", "--account", ACCOUNT, "--unfinished")
        await source.close("o2")
        await ended(redis, 4)
        code, text = await typed(config, "replay", "--account", ACCOUNT, "--denied", "too-old", "--yes")
        found = await ended(redis, 6)

    assert (
        waiting[1]
        == unfinished[1]
        == f"nothing to replay: no fact that is meant has ended on {ACCOUNT} without effect\n"
    )
    assert code == 0
    assert "attempt 2 now: buy 0.1 EURUSD at 1.08512" in text
    assert "attempt 2 now: nothing: the source does not show it any more" in text
    assert f"{missed[0].id}: filled" in text
    assert f"{missed[1].id}: ignored (the source does not show it any more)" in text
    assert sorted((o.fact, o.result) for o in found[4:]) == [(missed[0].id, "filled"), (missed[1].id, "ignored")]
    assert [volume for _, _, volume in await simulator.volumes()] == [0.1, 0.1]
    assert len(await told(redis)) >= 6
