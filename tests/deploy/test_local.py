"""`tradecopier up`, as a user runs it."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest

from deploy import settings
from deploy.local import unless_stopped, welcome
from shared.process import Stop, UserError
from tests.deploy.test_fleet import written
from tests.e2e.processes import PATIENCE_S, belonging_to, run, running, wait_until_gone

pytestmark = pytest.mark.timeout(180)


def test_up_runs_until_ctrl_c_and_keeps_its_data_beside_the_settings(tmp_path: Path) -> None:
    file = written(tmp_path)
    for _ in range(2):
        with running("--config", str(file), "up") as up:
            up.until("TradeCopier runs.")
            up.process.send_signal(signal.SIGINT)
            said, _ = up.process.communicate(timeout=PATIENCE_S)
            assert up.process.returncode == 0, said
        assert belonging_to(tmp_path) == {}
    assert (tmp_path / "data" / "valkey" / "data").is_dir()


def test_killing_it_leaves_nothing_and_it_starts_again_at_once(tmp_path: Path) -> None:
    file = written(tmp_path)
    with running("--config", str(file), "up") as up:
        up.until("TradeCopier runs.")
        up.process.kill()
    with running("--config", str(file), "up") as up:
        up.until("TradeCopier runs.")
        up.process.terminate()
        up.process.communicate(timeout=PATIENCE_S)
    wait_until_gone(tmp_path)


@pytest.mark.parametrize(
    ("text", "line"),
    [(None, "there is no such settings file"), ("[redis]\nspeed = 1", "redis: .*speed"), ("", "there is no source")],
)
def test_a_settings_mistake_is_one_line_and_exit_code_2(tmp_path: Path, text: str | None, line: str) -> None:
    file = tmp_path / "tradecopier.toml"
    if text is not None:
        file.write_text(text)
    done = run("--config", str(file), "up")
    assert done.returncode == 2
    assert re.fullmatch(f"tradecopier: .*{line}.*\n", done.stderr), done.stderr
    assert not (tmp_path / "data").exists()


def test_the_welcome_says_which_accounts_trade(tmp_path: Path) -> None:
    lines = welcome(settings.load(written(tmp_path, listen=8099), None, {}))
    assert "127.0.0.1:8099" in lines[0]
    assert "one (live)" in lines[0]


def test_one_account_whose_terminal_is_gone_does_not_keep_the_others_from_being_copied_to(tmp_path: Path) -> None:
    file = written(tmp_path)
    with file.open("a") as more:
        more.write(GONE)
    with running("--config", str(file), "up") as up:
        up.until("TradeCopier runs.")
        up.until("gone: the terminal is gone: start MetaTrader 5 and log in")
        status = run("--config", str(file), "status").stdout
        up.process.send_signal(signal.SIGINT)
        said, _ = up.process.communicate(timeout=PATIENCE_S)

    assert up.process.returncode == 0, said
    assert re.search("account one: .*active", status), status
    assert "terminal connected" in status


GONE = """
[executor.accounts.gone]
sources = ["demo"]

[executor.accounts.gone.terminal]
kind = "simulated"
address = "127.0.0.1:9"
login = 1
server = "Gone"
"""


async def nothing() -> None:
    pass


async def for_ever() -> None:
    await asyncio.Event().wait()


async def failing() -> None:
    raise UserError("no")


async def test_work_ends_when_it_is_done_or_when_a_stop_is_requested() -> None:
    stop = Stop()
    assert await unless_stopped(stop, nothing())
    with pytest.raises(UserError):
        await unless_stopped(stop, failing())
    asyncio.get_running_loop().call_soon(stop.request)
    assert not await unless_stopped(stop, for_ever())


def test_up_shows_what_its_services_say(tmp_path: Path) -> None:
    with running("--config", str(written(tmp_path)), "up") as up:
        up.until("TradeCopier runs.")
        executor = next(pid for pid, words in belonging_to(tmp_path).items() if "executor run" in words)
        os.kill(executor, signal.SIGKILL)
        assert "executor ended by itself and is started again" in up.until("started again")
        assert '"service": "executor"' in up.until('"following"')
