"""A thread that does what it is given, one thing after another: for work that waits for a disk, perhaps for ever.

Nobody else waits for it who does not ask to, and it does not keep the process from ending.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class Aside:
    """The thread `name`, from now on. Everything but its work may be called from any thread."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        # A thread that hangs in a call to the kernel would keep the interpreter from ending if it were waited for.
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def do(self, work: Callable[[], object]) -> None:
        """Have something done when what was given before is done. What it raises is logged."""
        self._work.put(work)

    def ask(self, work: Callable[[], T]) -> "Future[T]":
        """The same, with what becomes of it."""
        future: Future[T] = Future()
        self._work.put(lambda: _carry_out(work, future))
        return future

    async def result(self, work: Callable[[], T]) -> T:
        """What `work` returns or raises, without the event loop waiting for it."""
        return await asyncio.wrap_future(self.ask(work))

    def close(self, within: float) -> bool:
        """Take nothing more; whether everything was done within so many seconds. It goes on if not."""
        self._work.put(None)
        self._thread.join(within)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("%s met a surprise", self._thread.name)


def _carry_out(work: Callable[[], T], future: "Future[T]") -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work())
    except Exception as error:  # noqa: BLE001  told to whoever asked
        future.set_exception(error)
