"""One background server with a directory of its own: locked, started, watched, restarted and stopped with us.

The directory holds what must survive a restart (`password`, `port`, the server's data) and `lock`, a file that the
server inherits locked: as long as a server of an earlier run is still there, nobody else starts on the same data.
"""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from deploy.directory import choose_port, lock_file, log_file, secret
from shared.process import Identity, UserError, end, spawn

log = logging.getLogger(__name__)

LOCK_PATIENCE = 15.0
"""Seconds for a server of an earlier run to finish; its parent's death has told it to."""
SILENCE_LIMIT = 20.0
"""Seconds that a starting server may give no sign of life. One that says it is still loading may take longer."""
DEATHS_LIMIT, DEATHS_WITHIN = 5, 60.0
"""A server that died five times in a minute is not started again."""
PORT_ATTEMPTS = 3
"""Somebody may take the chosen port before the server does; then another one is chosen."""

Health = Literal["ready", "loading", "silent"]


@dataclass(frozen=True, slots=True)
class Launch:
    """How a server process is started. `stdin` is written to it and closed, so that nothing secret is in `argv`."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    on_parent_death: signal.Signals
    identity: Identity = "same"
    stdin: bytes = b""


class PortTaken(Exception):
    """The server found its port in use."""


class Daemon(ABC):
    """A server process and its directory. Started from the main thread, used from one thread only."""

    title: ClassVar[str]
    stop_signals: ClassVar[tuple[signal.Signals, ...]]

    def __init__(self, directory: Path, port: int | None = None) -> None:
        """`port` pins the port; without it one is chosen, remembered in the directory and kept while it is free."""
        self.directory = directory.absolute()
        self._pinned = port
        self._port: int | None = None
        self._lock: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    @abstractmethod
    def prepare(self) -> Iterator[float]:
        """Make the data ready for a first start, with pauses in seconds. Called under the lock, before every start."""

    @abstractmethod
    def launch(self) -> Launch:
        """The command for the present port and password."""

    @abstractmethod
    def health(self, pid: int) -> Health:
        """Whether the process serves clients by now."""

    @abstractmethod
    def explain(self, last_words: str) -> str:
        """What is wrong with a server that ended by itself and what to do, in one line without the server's name."""

    @property
    def port(self) -> int:
        """The port on 127.0.0.1; known from the first start on."""
        if self._port is None:
            raise RuntimeError(f"{self.title} was not started")
        return self._port

    @property
    def password(self) -> str:
        """Made once for the directory, kept with mode 0600."""
        return secret(self.directory / "password")

    @property
    def pid(self) -> int | None:
        """The process id while the server runs, else None."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Return when the server serves clients; raises UserError when it cannot. Nothing to do while it runs."""
        for pause in self._starting():
            time.sleep(pause)

    async def started(self) -> None:
        """`start`, without blocking the event loop."""
        for pause in self._starting():
            await asyncio.sleep(pause)

    async def supervise(self) -> None:
        """Restart the server whenever it ends; runs until cancelled, raises UserError when it keeps ending."""
        deaths: deque[float] = deque(maxlen=DEATHS_LIMIT)
        self._pinned = self._port  # by now others have been told the address
        while True:
            while self.pid is not None:  # noqa: ASYNC110  a child's end is no event that every platform tells
                await asyncio.sleep(0.1)
            deaths.append(time.monotonic())
            if len(deaths) == DEATHS_LIMIT and deaths[-1] - deaths[0] < DEATHS_WITHIN:
                raise UserError(f"{self.title} ended {DEATHS_LIMIT} times within a minute: {self._explanation()}")
            log.error("%s ended by itself and is started again: %s", self.title, self._explanation())
            await self.started()

    def stop(self) -> None:
        """Shut down cleanly, by force if need be, and let go of the directory. Nothing to do when it is not running."""
        if self._process is not None:
            end(self._process, self.stop_signals)
            self._process = None
        self._unlock()

    def _starting(self) -> Iterator[float]:
        """The start as a sequence of pauses in seconds, so that blocking and asyncio callers share it."""
        if sys.platform == "win32":
            raise UserError(
                f"there is no embedded {self.title} on Windows; set the address of a server in the settings"
            )
        if self.pid is not None:
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            yield from self._locking()
            yield from self.prepare()
            yield from self._running()
        except OSError as error:
            self.stop()
            raise UserError(f"{self.title} cannot use {error.filename or self.directory}: {error.strerror}") from error
        except BaseException:
            self.stop()
            raise

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _locking(self) -> Iterator[float]:
        # Let go first: of a killed server, processes of its own may still be at work on the data, with our lock.
        self._unlock()
        deadline = time.monotonic() + LOCK_PATIENCE
        while self._lock is None:
            self._lock = lock_file(self.directory / "lock")
            if self._lock is None:
                if time.monotonic() > deadline:
                    raise UserError(f"{self.directory} is in use by another running {self.title}; stop that one first")
                yield 0.05

    def _running(self) -> Iterator[float]:
        for attempt in range(PORT_ATTEMPTS):
            self._port = choose_port(self.directory / "port", self._pinned, self.title)
            self._process = self._spawn()
            try:
                yield from self._becoming_ready(self._process)
                return
            except PortTaken:
                if self._pinned is not None or attempt == PORT_ATTEMPTS - 1:
                    raise UserError(
                        f"{self.title} cannot listen on 127.0.0.1:{self._port}: the port is in use"
                    ) from None

    def _spawn(self) -> subprocess.Popen[bytes]:
        return self.begin(self.launch())

    def begin(self, launch: Launch) -> subprocess.Popen[bytes]:
        """Start a process that writes to our log and holds our lock; its words are what it says from now on."""
        with log_file(self.directory / "log") as output:
            self._log_start = output.tell()
            process = spawn(
                launch.argv,
                stdin=subprocess.PIPE,
                stdout=output.fileno(),
                stderr=subprocess.STDOUT,
                env=launch.env,
                cwd=self.directory,
                on_parent_death=launch.on_parent_death,
                identity=launch.identity,
                pass_fds=() if self._lock is None else (self._lock,),
            )
        feed(process, launch.stdin)
        return process

    def _becoming_ready(self, process: subprocess.Popen[bytes]) -> Iterator[float]:
        heard = time.monotonic()
        while (health := self.health(process.pid)) != "ready" or process.poll() is not None:
            if process.poll() is not None:
                if "ddress already in use" in self.last_words():
                    raise PortTaken
                raise UserError(f"{self.title} does not start: {self._explanation()}")
            if health == "loading":
                heard = time.monotonic()
            elif time.monotonic() - heard > SILENCE_LIMIT:
                raise UserError(f"{self.title} gives no answer; its log is {self.directory / 'log'}")
            yield 0.005

    def last_words(self) -> str:
        """What the process started last has written so far."""
        with (self.directory / "log").open("rb") as written:
            written.seek(self._log_start)
            return written.read()[-100_000:].decode(errors="replace")

    def _explanation(self) -> str:
        code = self._process.returncode if self._process is not None else None
        return f"{killed(code) or self.explain(self.last_words())} (log: {self.directory / 'log'})"


def killed(code: int | None) -> str:
    """Which signal ended a process, by its exit code; empty when none did, and the process could speak for itself."""
    if code is None or code >= 0:
        return ""
    try:
        return f"it was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"it was killed by signal {-code}"


def feed(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Write what a child reads from its standard input, and close it; one that has already ended will say why."""
    if process.stdin is not None:
        try:
            process.stdin.write(text)
            process.stdin.close()
        except BrokenPipeError:
            log.debug("process %d ended before it read its input", process.pid)
