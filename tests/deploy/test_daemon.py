"""What holds for every embedded server, shown with small programs in a server's place."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import daemon
from deploy.daemon import Daemon, Health, Launch, killed
from shared.process import UserError
from tests.processes import wait_until_gone


class Script(Daemon):
    """A server that is a shell script; ready once the file `up` is there."""

    title = "Script"
    stop_signals = (signal.SIGTERM,)
    script = "touch up; exec sleep 3600"

    def prepare(self) -> Iterator[float]:
        (self.directory / "up").unlink(missing_ok=True)
        yield 0

    def launch(self) -> Launch:
        return Launch(("sh", "-c", self.script), {"PATH": os.defpath}, signal.SIGTERM, stdin=b"settings\n")

    def health(self, pid: int) -> Health:
        return "ready" if (self.directory / "up").exists() else "silent"

    def explain(self, last_words: str) -> str:
        return (["nothing", *last_words.strip().splitlines()])[-1]


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    server = Script(tmp_path / "script")
    yield server
    server.stop()


def test_a_server_runs_from_start_to_stop(script: Script) -> None:
    script.start()
    pid = script.pid
    assert pid is not None
    script.stop()
    assert script.pid is None
    wait_until_gone(pid)


async def test_a_start_need_not_block_the_event_loop(script: Script) -> None:
    await script.started()
    assert script.pid is not None


def test_what_the_server_reads_does_not_show_in_its_arguments(script: Script) -> None:
    script.script = "read word; echo $word > said; touch up; exec sleep 3600"
    script.start()
    assert (script.directory / "said").read_text() == "settings\n"
    assert b"settings" not in Path(f"/proc/{script.pid}/cmdline").read_bytes()


def test_a_server_that_ends_while_starting_is_explained_in_one_line(script: Script) -> None:
    script.script = "echo old news; echo the disk is full; exit 3"
    with pytest.raises(UserError, match=r"^Script does not start: the disk is full \(log: .*/log\)$"):
        script.start()
    script.script = "exit 3"
    with pytest.raises(UserError, match="does not start: nothing"):
        script.start()


def test_a_server_that_never_answers_is_given_up_and_ended(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "SILENCE_LIMIT", 0.1)
    script.script = "echo $$ > pid; exec sleep 3600"
    with pytest.raises(UserError, match="gives no answer"):
        script.start()
    wait_until_gone(int((script.directory / "pid").read_text()))


def test_a_server_that_is_still_loading_is_waited_for(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "SILENCE_LIMIT", 0.05)
    answers = iter(["loading"] * 60)
    monkeypatch.setattr(Script, "health", lambda _self, _pid: next(answers, "ready"))
    script.start()
    assert script.pid is not None


def test_a_directory_serves_one_server_at_a_time(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon, "LOCK_PATIENCE", 0.1)
    script.start()
    second = Script(script.directory)
    with pytest.raises(UserError, match="is in use by another running Script"):
        second.start()
    script.stop()
    second.start()
    second.stop()


def test_a_server_that_outlived_its_supervisor_still_holds_the_directory(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "LOCK_PATIENCE", 0.1)
    script.start()
    assert script._lock is not None
    os.close(script._lock)
    script._lock = None
    with pytest.raises(UserError, match="is in use"):
        Script(script.directory).start()


def test_a_directory_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"Script cannot use .*file/below: Not a directory"):
        Script(tmp_path / "file" / "below").start()


def test_another_port_is_chosen_when_the_server_loses_the_race_for_it(script: Script) -> None:
    in_use = "echo bind: Address already in use; exit 1"
    script.script = f"test -e tried && {{ touch up; exec sleep 3600; }}; touch tried; {in_use}"
    script.start()
    assert script.pid is not None


def test_a_pinned_port_that_is_lost_to_a_race_is_one_line(tmp_path: Path) -> None:
    script = Script(tmp_path / "script", port=65_000)
    script.script = "echo bind: Address already in use; exit 1"
    with pytest.raises(UserError, match=r"cannot listen on 127\.0\.0\.1:65000: the port is in use"):
        script.start()


async def begun_anew(script: Script) -> None:
    """Kill it, and return when it is another process."""
    first = script.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(20):
        while script.pid in {None, first}:
            await asyncio.sleep(0.01)


async def test_a_server_that_dies_is_started_again(script: Script) -> None:
    await script.started()
    supervision = asyncio.create_task(script.supervise())
    await begun_anew(script)
    supervision.cancel()


async def test_a_server_that_cannot_have_its_port_back_is_given_up_since_its_clients_know_no_other(
    script: Script,
) -> None:
    await script.started()
    supervision = asyncio.create_task(script.supervise())
    await asyncio.sleep(0)
    assert script.pid is not None
    with socket.create_server(("127.0.0.1", script.port)):
        os.kill(script.pid, signal.SIGKILL)
        with pytest.raises(UserError, match=f"Script cannot listen on 127.0.0.1:{script.port}: the port is in use"):
            async with asyncio.timeout(20):
                await supervision


async def test_a_server_that_was_killed_is_not_explained_by_what_it_said_before(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.script = "echo all is well; touch up; exec sleep 3600"
    await script.started()
    supervision = asyncio.create_task(script.supervise())
    await begun_anew(script)
    supervision.cancel()
    assert "Script ended by itself and is started again: it was killed by SIGKILL (log: " in caplog.text
    assert "all is well" not in caplog.text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (None, ""),
        (0, ""),
        (2, ""),
        (-9, "it was killed by SIGKILL"),
        (-11, "it was killed by SIGSEGV"),
        (-99, "it was killed by signal 99"),
    ],
)
def test_only_a_signal_is_told_in_place_of_a_process_s_own_words(code: int | None, said: str) -> None:
    assert killed(code) == said


async def test_a_server_that_keeps_dying_is_given_up(script: Script) -> None:
    script.script = "touch up; sleep 0.05; echo out of memory; exit 1"
    await script.started()
    with pytest.raises(UserError, match="Script ended 5 times within a minute: out of memory"):
        async with asyncio.timeout(30):
            await script.supervise()
