"""One process of ours under a supervisor: started, waited for until it is ready, restarted when it ends, stopped.

A worker says that it is ready by making the file it was told; what it writes goes to a log file of its own, so that
neither a full pipe nor our death can stop it. Secrets reach it in its environment, which, unlike arguments, others
cannot read.
"""

import asyncio
import logging
import os
import time
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.daemon import killed
from deploy.directory import log_file
from deploy.embedded import last_line
from shared.process import MENDABLE, UserError, tethered

log = logging.getLogger(__name__)

START_PATIENCE_S = 60.0
"""A worker that is neither ready nor gone by then will not come up any more."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 10.0
"""Before the first restart, and at most; each restart doubles it."""
SETTLED_S = 30.0
"""A worker that has lived this long has earned a quick restart."""
LOOK_S = 0.01
STOP_PATIENCE_S = 15.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker runs. `argv` is without secrets. The process makes `ready_file` when it serves.

    `stdin` is written to it and closed.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    ready_file: Path
    stdin: bytes = b""


class Worker:
    """A process that runs one job. Started from the main thread, used from one event loop."""

    def __init__(self, job: Job, data: Path, held: Sequence[int] = ()) -> None:
        """`data` gets the log; `held` are descriptors that the process keeps open (locks)."""
        self.job = job
        self.log = data / "log" / f"{job.name}.log"
        self._held = tuple(held)
        self._process: Process | None = None
        self._log_start = 0

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def started(self) -> None:
        """Start the process and return when it is ready. Raises UserError, with its own last line, when it is not."""
        process = await self._begin()
        deadline = time.monotonic() + START_PATIENCE_S
        while not self.job.ready_file.exists():
            if process.returncode is not None:
                raise UserError(self._last_words())
            if time.monotonic() > deadline:
                raise UserError(f"{self.job.name} does not become ready; its log is {self.log}")
            await asyncio.sleep(LOOK_S)

    async def supervise(self) -> None:
        """Start the process again whenever it ends, after a pause that grows while it keeps ending; until cancelled."""
        pause = FIRST_PAUSE_S
        while self._process is not None:
            born = time.monotonic()
            await self._process.wait()
            if time.monotonic() - born > SETTLED_S:
                pause = FIRST_PAUSE_S
            log.error("%s ended by itself and is started again in %.1f s: %s", self.job.name, pause, self._last_words())
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            await self._begin()

    async def stop(self) -> None:
        """Ask the process to end, kill it if it does not; returns when it is gone."""
        if self._process is None:
            return
        for ask in (self._process.terminate, self._process.kill):
            with suppress(ProcessLookupError):
                ask()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), STOP_PATIENCE_S)
                return

    async def _begin(self) -> Process:
        for folder in (self.log.parent, self.job.ready_file.parent):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.job.ready_file.unlink(missing_ok=True)
        with log_file(self.log) as output:
            self._log_start = output.tell()
            self._process = process = await asyncio.create_subprocess_exec(
                *tethered(self.job.argv),
                stdin=asyncio.subprocess.PIPE,
                stdout=output.fileno(),
                stderr=asyncio.subprocess.STDOUT,
                env={**os.environ, **self.job.env},
                pass_fds=self._held,
            )
        assert process.stdin is not None
        process.stdin.write(self.job.stdin)
        process.stdin.close()
        return process

    def _last_words(self) -> str:
        with self.log.open("rb") as written:
            written.seek(self._log_start)
            said = last_line(written.read()[-100_000:].decode(errors="replace"))
        if self._process is not None and self._process.returncode == MENDABLE:
            return said  # the user's mistake: the line says by itself what to do
        code = self._process.returncode if self._process is not None else None
        return f"{self.job.name}: {killed(code) or said} (log: {self.log})"
