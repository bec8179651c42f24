"""`status` and `doctor` as a person sees them in a terminal, in each state that matters."""

import asyncio
import json
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from deploy.control import order
from deploy.light import light
from deploy.looking import Seen
from deploy.status import lines
from executor.mt5.simulator.remote import Remote
from shared import streams
from tests.deploy.onlookers import Machine, Terminal, machine, settings
from tests.deploy.test_light import RED, YELLOW
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Source, ended

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


async def doctor(found: Machine, tmp_path: Path, number: int) -> Terminal:
    folder = tmp_path / f"doctor{number}"
    folder.mkdir()
    return Terminal("doctor", folder, "--config", str(found.config), "doctor")


async def doctor_shows(found: Machine, tmp_path: Path, number: int, *words: str) -> None:
    window = await doctor(found, tmp_path, number)
    try:
        await window.shows(*words, " to mend")
    finally:
        window.close()


async def test_a_live_screen_follows_what_happens(tmp_path: Path) -> None:
    async with machine(tmp_path) as found:
        window = Terminal("status", tmp_path, "--config", str(found.config), "status", "--watch")
        try:
            await healthy(found, window, tmp_path)
            await algo_trading_off(found, window, tmp_path)
            await blind(found, window, tmp_path)
            await drift(found, window, tmp_path)
            await terminal_gone(found, window, tmp_path)
            await redis_gone(found, window, tmp_path)
        finally:
            window.close()


async def healthy(found: Machine, window: Terminal, tmp_path: Path) -> None:
    redis = streams.connect(found.valkey.url)
    source = Source(redis)
    await source.open()
    await source.buy("p1", "0.3")
    await ended(redis, 1)
    await redis.aclose()
    screen = await window.shows(" COPYING\n", "EURUSD       +0.3", "last trade", "algo trading on", "unread 0")
    assert "COPYING, BUT" not in screen
    words = (
        "appendfsync: always",
        "algo trading: on",
        "margin mode: hedging",
        "FOK",
        "certificate",
        "symbol map: every",
        "drift: none",
    )
    await doctor_shows(found, tmp_path, 1, *words)


async def algo_trading_off(found: Machine, window: Terminal, tmp_path: Path) -> None:
    with closing(Remote.at(found.simulator.address)) as remote:
        remote.settings(algo_trading=False)
        await window.shows("NOT ALL IS WELL", "press the button Algo Trading", "algo trading OFF")
        await doctor_shows(found, tmp_path, 2, "algo trading: off", "press the button")
        remote.settings(algo_trading=True)
    await window.shows(" COPYING\n", "algo trading on")


async def blind(found: Machine, window: Terminal, tmp_path: Path) -> None:
    found.polled_ago = 300.0
    await window.shows("NOT ALL IS WELL", "blind, no look at the account for 5 min", "is TradingView open?")
    await doctor_shows(found, tmp_path, 3, "TradingView was seen last 5 min ago", "ingest pac")
    found.polled_ago = 0.0
    await window.shows(" COPYING\n")


async def drift(found: Machine, window: Terminal, tmp_path: Path) -> None:
    """A trade that the account has refused: the source has it, and we do not."""
    redis = streams.connect(found.valkey.url)
    await order(redis, KEYS, lambda: CODEC, "close-only", {ACCOUNT: True})
    source = Source(redis)
    source.seq = 1
    await source.buy("p2", "0.2")
    await ended(redis, 2)
    await window.shows("NOT ALL IS WELL", "drift, EURUSD: +0.2 lots expected, +0 there", "close-only (operator)")
    await doctor_shows(found, tmp_path, 6, "drift: EURUSD: +0.2 lots expected", "state: close-only (operator)")
    await order(redis, KEYS, lambda: CODEC, "resume", {ACCOUNT: True})
    await source.close("p2")
    await redis.hdel(KEYS.source("picture", "demo"), "10001/order:p2-1")  # as when the broker has told its fill
    await window.shows(" COPYING\n")
    await redis.aclose()


async def terminal_gone(found: Machine, window: Terminal, tmp_path: Path) -> None:
    found.simulator.stop()
    await window.shows("NOT ALL IS WELL", "the terminal is gone: start MetaTrader 5")
    await doctor_shows(found, tmp_path, 4, "the terminal is gone", "start MetaTrader 5")
    await found.simulator.start()
    await window.shows(" COPYING\n")


async def redis_gone(found: Machine, window: Terminal, tmp_path: Path) -> None:
    found.valkey.stop()
    screen = await window.shows("NOT ALL IS WELL", "Redis does not answer", "waits on disk")
    assert "account main" not in screen
    await doctor_shows(found, tmp_path, 5, "redis: does not answer", "start it, or mend redis.url")
    found.valkey.start()
    await window.shows(" COPYING\n")


@pytest.mark.parametrize(
    ("situation", "head"),
    [
        (YELLOW["everything is being started"], " STARTING "),
        (YELLOW["the executor is being started"], " STARTING "),
        (YELLOW["shadow"], " COPYING, BUT "),
        (RED["the terminal does not come up"], " NOT ALL IS WELL "),
    ],
)
def test_what_is_just_being_started_is_called_so(situation: tuple[Seen, str], head: str) -> None:
    seen, _ = situation

    assert head in next(lines(seen, light(seen)))


def tradecopier(config: Path, *arguments: str, typed: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "deploy", "--config", str(config), *arguments]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False, timeout=60)


async def test_for_a_program_everything_is_json_and_the_exit_code_tells_red(tmp_path: Path) -> None:
    async with machine(tmp_path) as found:
        await asyncio.sleep(0.5)
        asked = await asyncio.to_thread(tradecopier, found.config, "status", "--json")
        told = json.loads(asked.stdout)
        await asyncio.to_thread(tradecopier, found.config, "pause", ACCOUNT, "--yes", "pause")
        paused = await asyncio.to_thread(tradecopier, found.config, "status")

    assert asked.returncode == 0, asked.stdout
    assert told["light"]["colour"] == "green"
    assert told["seen"]["accounts"][0]["vitals"]["margin"] == "hedging"
    assert paused.returncode == 1
    assert "halted (operator)" in paused.stdout


@pytest.mark.parametrize(
    ("typed", "code", "words"),
    [
        ("flatten main\n", 0, "main: close-only, and everything of ours is being closed"),
        ("yes\n", 2, "nothing was changed"),
    ],
)
async def test_flatten_wants_to_be_typed_out(tmp_path: Path, typed: str, code: int, words: str) -> None:
    async with machine(tmp_path) as found:
        ran = await asyncio.to_thread(tradecopier, found.config, "flatten", "main", typed=typed)

    assert ran.returncode == code
    assert words in ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("resume",), "name accounts, or give --all; there are: main"),
        (("resume", "other"), "there is no account other; there are: main"),
        (("resume", "--all"), "there is no Redis yet"),
        (("status",), "there is no Redis yet"),
        (("status", "--watch", "--json"), "give --watch or --json, not both"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    ran = tradecopier(settings(tmp_path), *arguments)

    assert ran.returncode == 2
    assert words in ran.stderr
    assert ran.stderr.count("\n") == 1
