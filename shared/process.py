"""Running a service, and the child processes it starts: signals, supervised tasks, exit codes, nobody left behind.

`run` is the last line of every service's command. A first SIGINT or SIGTERM asks the service to stop, a second one
ends it at once; a task that crashes stops the service with one line and exit code 1; a `UserError` is one line and
exit code 2.
"""

import asyncio
import gc
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from shared import logs, tether

log = logging.getLogger(__name__)

CRASHED, MENDABLE = 1, 2
"""Exit codes: something unforeseen happened; the user can mend it."""
GRACE = 20.0
"""Seconds that a service has to finish once it was asked to stop; then its tasks are cancelled."""
LAST_RESORT = 10.0
"""Seconds after that until the process ends whatever still holds it, a hanging thread for instance."""
ASK_AGAIN = 5.0
"""Seconds that a cancelled task has for clearing away; if it goes on then, it is cancelled again."""


class UserError(Exception):
    """A failure that the user can mend; its text is one line that says what is wrong and what to do."""


class Stop:
    """The wish that a service ends, and the tasks that end with it. Belongs to one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self.failure: BaseException | None = None

    @property
    def requested(self) -> bool:
        """Whether the service should come to an end."""
        return self._event.is_set()

    def request(self) -> None:
        """Ask the service to end; asking again changes nothing."""
        self._event.set()

    def fail(self, failure: BaseException) -> None:
        """Ask the service to end because of a failure; the first one is what the exit code and the last line tell."""
        self.failure = self.failure or failure
        self.request()

    async def wait(self) -> None:
        """Return as soon as the service should end."""
        await self._event.wait()

    def supervise(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run `work` beside the service: cancelled when the service ends; if it raises, the service stops and fails."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            failure.add_note(f"in the task {task.get_name()}")
            self.fail(failure)

    async def end_tasks(self) -> None:
        """Cancel what `supervise` started and wait until it is over."""
        await cancelled(*self._tasks)


async def cancelled(*tasks: "asyncio.Future[Any]", patience: float = ASK_AGAIN) -> None:
    """Cancel tasks and return when they are over; what they raise is left to whoever asks them.

    They are asked again every `patience` seconds until they listen. Before Python 3.12 `asyncio.wait_for`, with which
    redis-py sends, loses a cancellation that comes in the moment its work is done, and a loop that reads would go on
    for ever.
    """
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=patience)


def run(main: Callable[[Stop], Awaitable[None]], name: str, grace: float = GRACE) -> None:
    """Run a service until it returns; raises SystemExit with the exit code unless all went well.

    `main` returns soon after its `Stop` is requested; what it needs beside itself it starts with `Stop.supervise`.
    `grace` is in seconds. To be called in the main thread.
    """
    logs.configure(name)
    last_resort = threading.Timer(grace + LAST_RESORT, os._exit, (CRASHED,))
    last_resort.daemon = True
    try:
        with logs.unhurried():
            failure = asyncio.run(_serve(main, grace, last_resort))
        code = report(name, failure) if failure is not None else 0
    finally:
        last_resort.cancel()
    if code:
        raise SystemExit(code)


def settled() -> None:
    """Say that a service is up and what it holds now stays: the collector leaves that alone from here on.

    A full collection over everything that was imported stops the process for 20 ms, and would do so under a trade.
    """
    gc.collect()
    gc.freeze()


def report(name: str, failure: BaseException) -> int:
    """Say why the service ended, in one line where the user can mend it; returns the exit code."""
    if isinstance(failure, UserError):
        print(f"{name}: {failure}", file=sys.stderr, flush=True)
        return MENDABLE
    notes = "".join(f" ({note})" for note in getattr(failure, "__notes__", ()))
    log.critical("%s stopped: %s: %s%s", name, type(failure).__name__, failure, notes, exc_info=failure)
    return CRASHED


async def _serve(
    main: Callable[[Stop], Awaitable[None]], grace: float, last_resort: threading.Timer
) -> BaseException | None:
    stop = Stop()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: _surprised(stop, context))
    with _signals(stop):
        service = asyncio.ensure_future(main(stop))
        stopping = asyncio.create_task(stop.wait(), name="stop")
        await asyncio.wait({service, stopping}, return_when=asyncio.FIRST_COMPLETED)
        last_resort.start()
        await _finish(service, stop, grace)
        stopping.cancel()
        await stop.end_tasks()
    return stop.failure


async def _finish(service: "asyncio.Future[None]", stop: Stop, grace: float) -> None:
    await asyncio.wait({service}, timeout=grace)
    if not service.done():
        stop.fail(TimeoutError(f"it was asked to stop and did not within {grace:g} s"))
        service.cancel()
        await asyncio.wait({service})
    if not service.cancelled() and (failure := service.exception()) is not None:
        stop.fail(failure)


def _surprised(stop: Stop, context: Mapping[str, Any]) -> None:
    """What asyncio found lying about: a dead task that nobody awaited stops the service, the rest is only told."""
    failure = context.get("exception")
    if failure is not None and ("task" in context or "future" in context):
        failure.add_note(f"in {context.get('task') or context['future']!r}")
        stop.fail(failure)
    else:
        log.error("asyncio: %s", context["message"], exc_info=failure)


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    """Turn signals into the wish to stop. Plain handlers, since asyncio's own do not exist on Windows."""
    loop = asyncio.get_running_loop()

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            os._exit(128 + number)
        loop.call_soon_threadsafe(stop.request)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
    earlier = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)


def announce(ready_file: Path | None, text: str) -> None:
    """Tell a supervisor that we serve: make the file it waits for, whole in one step. Without a file there is none."""
    if ready_file is not None:
        partial = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
        partial.write_text(f"{text}\n")
        partial.replace(ready_file)


Identity = Literal["same", "namespace"] | tuple[int, int]
"""Who a child runs as: as we do, outside our user namespace (Linux), or as another (uid, gid), which takes root."""

Source = int | None
"""A file descriptor, `subprocess.PIPE`, `subprocess.DEVNULL`, `subprocess.STDOUT`, or None to inherit ours."""


def tethered(
    argv: Sequence[str], *, on_parent_death: signal.Signals = signal.SIGTERM, identity: Identity = "same"
) -> list[str]:
    """The command that runs `argv` in a session of its own and signals it when we die, however we die.

    For `subprocess.Popen` and `asyncio.create_subprocess_exec` alike; the pid is that of the command itself.
    Elsewhere than on Linux the command comes back as it is, and the child has to notice by itself that its parent is
    gone.

    Raises RuntimeError outside the main thread: Linux counts the *thread* that forks as the parent, so a
    child started by a passing thread would be killed when that thread ends.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("tethered children are started from the main thread")
    if sys.platform != "linux":
        return list(argv)
    who = identity if isinstance(identity, str) else f"{identity[0]}:{identity[1]}"
    program = str(Path(tether.__file__).resolve())
    return [sys.executable, "-I", "-S", program, str(os.getpid()), str(int(on_parent_death)), who, *argv]


def spawn(
    argv: Sequence[str],
    *,
    on_parent_death: signal.Signals = signal.SIGTERM,
    identity: Identity = "same",
    stdin: Source = subprocess.DEVNULL,
    stdout: Source = None,
    stderr: Source = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a child that dies with us (see `tethered`); it reads nothing unless told otherwise."""
    command = tethered(argv, on_parent_death=on_parent_death, identity=identity)
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP
    return subprocess.Popen(
        command, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd, pass_fds=pass_fds, creationflags=flags
    )


def end(process: subprocess.Popen[bytes], signals: Sequence[signal.Signals], patience: float = 10.0) -> int:
    """Ask a child to end, each signal more urgent than the one before, kill it in the end; returns its exit code.

    `patience` is in seconds, for each signal. Returns only when the child is gone.
    """
    for number in signals:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            return process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    if process.poll() is None:
        process.kill()
    return process.wait()
