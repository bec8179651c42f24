"""Services stop when asked, at once when asked twice, and never silently; children do not outlive their parent."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from shared.process import announce, end, spawn, tethered
from shared.tether import COMMAND_NOT_RUN, NAMESPACE_REFUSED
from tests.processes import python, told, wait_until_gone

SERVICE = """
    import asyncio, sys, threading, time
    from shared import process
    from shared.process import Stop, UserError, run

    async def patient(stop):
        print("ready", flush=True)
        await stop.wait()
        print("tidy", flush=True)

    async def stubborn(stop):
        print("ready", flush=True)
        await asyncio.sleep(3600)

    async def crash():
        raise ValueError("lane burst")

    async def with_crashing_task(stop):
        stop.supervise(crash(), "lane eurusd")
        await stop.wait()

    async def with_forgotten_task(stop):
        task = asyncio.create_task(crash())
        await asyncio.sleep(0)
        del task
        await stop.wait()

    async def with_endless_task(stop):
        async def endless():
            try:
                await asyncio.sleep(3600)
            finally:
                print("task ended", flush=True)
        stop.supervise(endless(), "endless")
        await asyncio.sleep(0)

    async def mendable(stop):
        raise UserError("the port is in use; free it")

    async def broken(stop):
        raise KeyError("nothing")

    async def with_hanging_thread(stop):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 3600)
        print("ready", flush=True)
        await stop.wait()

    process.LAST_RESORT = 0.3
    run(globals()[sys.argv[1]], "service", grace=float(sys.argv[2]))
"""


def ended(name: str, *signals: signal.Signals, grace: str = "20") -> tuple[int, str, str]:
    """Exit code, output and complaints of a service that gets these signals once it is ready."""
    with python(SERVICE, name, grace) as process:
        for number in signals:
            if number is signals[0]:
                assert told(process) == "ready"
            process.send_signal(number)
        output, complaints = process.communicate(timeout=30)
        return process.returncode, output, complaints


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_asked_to_stop_finishes_its_work_and_succeeds(number: signal.Signals) -> None:
    assert ended("patient", number) == (0, "tidy\n", "")


def test_a_second_signal_ends_a_service_at_once() -> None:
    with python(SERVICE, "stubborn", "20") as process:
        assert told(process) == "ready"
        while process.poll() is None:
            process.send_signal(signal.SIGTERM)
        assert process.returncode == 128 + signal.SIGTERM


def test_a_service_that_does_not_finish_in_time_is_cancelled_and_fails() -> None:
    code, _, complaints = ended("stubborn", signal.SIGTERM, grace="0.1")
    assert code == 1
    assert "did not within 0.1 s" in complaints


def test_a_crashed_task_stops_the_service_and_is_named() -> None:
    code, _, complaints = ended("with_crashing_task")
    assert code == 1
    assert "service stopped: ValueError: lane burst (in the task lane eurusd)" in complaints


def test_a_task_that_nobody_awaits_does_not_die_silently() -> None:
    code, _, complaints = ended("with_forgotten_task")
    assert code == 1
    assert "lane burst" in complaints


def test_tasks_end_with_their_service() -> None:
    assert ended("with_endless_task") == (0, "task ended\n", "")


def test_what_the_user_can_mend_is_one_line_and_exit_code_two() -> None:
    assert ended("mendable") == (2, "", "service: the port is in use; free it\n")


def test_a_surprise_is_told_with_its_trace() -> None:
    code, _, complaints = ended("broken")
    assert code == 1
    assert "service stopped: KeyError" in complaints
    assert "Traceback" in complaints


def test_a_hanging_thread_cannot_keep_a_service_alive() -> None:
    assert ended("with_hanging_thread", signal.SIGTERM, grace="0.1")[0] == 1


PARENT = """
    import asyncio
    from shared.process import spawn, tethered

    child = ["sh", "-c", "echo $$; exec sleep 3600"]

    async def start():
        first, second = spawn(child), await asyncio.create_subprocess_exec(*tethered(child))
        await asyncio.sleep(3600)

    asyncio.run(start())
"""


def test_children_end_when_their_parent_is_killed() -> None:
    with python(PARENT) as parent:
        children = [int(told(parent)), int(told(parent))]
        parent.kill()
        for child in children:
            wait_until_gone(child)


def test_a_tethered_child_is_the_command_itself_in_a_session_of_its_own() -> None:
    child = spawn([sys.executable, "-c", "import os; print(os.getpid(), os.getsid(0))"], stdout=subprocess.PIPE)
    output, _ = child.communicate()
    assert output.split() == [str(child.pid).encode()] * 2


def test_a_command_that_is_missing_is_named() -> None:
    child = spawn(["no-such-command"], stderr=subprocess.PIPE)
    _, complaints = child.communicate()
    assert child.returncode == COMMAND_NOT_RUN
    assert complaints.decode() == "no-such-command: No such file or directory\n"


def test_a_child_in_a_user_namespace_of_its_own_is_nobody_or_says_that_it_cannot_be() -> None:
    child = spawn(["id", "-u"], identity="namespace", stdout=subprocess.PIPE)
    output, _ = child.communicate()
    assert (child.returncode, output) in {(0, b"65534\n"), (NAMESPACE_REFUSED, b"")}


def test_a_passing_thread_may_not_start_tethered_children() -> None:
    failures: list[Any] = []

    def start() -> None:
        with pytest.raises(RuntimeError, match="main thread"):
            tethered(["true"])
        failures.append(None)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert failures == [None]


def test_a_child_that_ignores_every_request_to_end_is_killed() -> None:
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    child = spawn([sys.executable, "-c", deaf], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"deaf\n"
    assert end(child, [signal.SIGTERM], patience=0.1) == -signal.SIGKILL
    child.stdout.close()


def test_ending_a_child_that_has_ended_tells_its_exit_code() -> None:
    child = spawn(["false"])
    child.wait()
    assert end(child, [signal.SIGTERM]) == 1


def test_what_a_settled_service_holds_is_left_alone_by_the_collector_and_new_garbage_is_not() -> None:
    program = """
        import gc
        from shared.process import settled

        class Ring:
            def __init__(self):
                self.me = self

        held = [object() for _ in range(10)]
        settled()
        print(gc.get_freeze_count() > 1000, flush=True)
        Ring()
        print(gc.collect() > 0, flush=True)
    """
    with python(program) as service:
        assert [told(service), told(service)] == ["True", "True"]


def test_a_supervisor_sees_the_ready_file_whole_or_not_at_all(tmp_path: Path) -> None:
    announce(tmp_path / "ready", "127.0.0.1:8080")
    announce(None, "nobody waits")

    assert (tmp_path / "ready").read_text() == "127.0.0.1:8080\n"
    assert [path.name for path in tmp_path.iterdir()] == ["ready"]
