"""A process under a supervisor, with small programs in the place of services."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from deploy.worker import Job, Worker
from shared.process import UserError

READY = "import os, sys, time; p = sys.argv[1]; open(p + '.new', 'w').close(); os.replace(p + '.new', p); "
SERVES = READY + "time.sleep(600)"


def worker(folder: Path, program: str, stdin: bytes = b"") -> Worker:
    ready = folder / "run" / "ready"
    return Worker(Job("thing", [sys.executable, "-c", program, str(ready)], {"WORD": "told"}, ready, stdin), folder)


async def test_it_is_started_when_it_says_so_and_stopped_when_it_is_gone(tmp_path: Path) -> None:
    thing = worker(tmp_path, SERVES)
    await thing.started()
    pid = thing.pid
    assert pid is not None
    await thing.stop()
    assert thing.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    await thing.stop()


async def test_what_it_is_told_is_in_its_environment_and_its_input_and_not_in_its_arguments(tmp_path: Path) -> None:
    thing = worker(tmp_path, "import os, sys; sys.exit(os.environ['WORD'] + sys.stdin.read())", b" secretly")
    with pytest.raises(UserError, match="thing: told secretly"):
        await thing.started()
    assert "secretly" not in " ".join(thing.job.argv)


@pytest.mark.parametrize(
    ("code", "line"),
    [(2, "^port 8080 is in use; free it$"), (1, r"^thing: port 8080 is in use; free it \(log: .*thing.log\)$")],
)
async def test_one_that_cannot_start_is_one_line_in_its_own_words(tmp_path: Path, code: int, line: str) -> None:
    say = "print('noise', flush=True); print('port 8080 is in use; free it', file=sys.stderr)"
    program = f"import sys; {say}; sys.exit({code})"
    with pytest.raises(UserError, match=line):
        await worker(tmp_path, program).started()


async def test_an_old_ready_file_does_not_count(tmp_path: Path) -> None:
    thing = worker(tmp_path, "import sys; sys.exit('no')")
    thing.job.ready_file.parent.mkdir()
    thing.job.ready_file.touch()
    with pytest.raises(UserError, match="no"):
        await thing.started()


async def test_it_is_started_again_whenever_it_ends(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    thing = worker(tmp_path, SERVES)
    await thing.started()
    watching = asyncio.create_task(thing.supervise())
    first = thing.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(10):
        while thing.pid in (None, first) or not thing.job.ready_file.exists():
            await asyncio.sleep(0.01)
    watching.cancel()
    await thing.stop()
    assert "thing ended by itself and is started again in 0.2 s: thing: it was killed by SIGKILL" in caplog.text


async def test_one_that_does_not_listen_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.worker.STOP_PATIENCE_S", 0.2)
    thing = worker(tmp_path, "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SERVES)
    await thing.started()
    await thing.stop()
    assert thing.pid is None
