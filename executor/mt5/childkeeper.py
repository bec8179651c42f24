"""Keeps one child process running: starts it, checks that it is ours, and starts another only when it is dead."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from executor.mt5.chatter import Mouthpiece
from executor.mt5.child import TOKEN_VARIABLE, Hello, Response
from executor.mt5.childlink import ChildLink
from executor.mt5.leash import Leash

ROOT = Path(__file__).resolve().parents[2]
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 30.0
STEADY_SECONDS = 10.0
"""A child that lived this long starts the next pause from the beginning again."""


class ChildKeeper:
    """Runs `command` with the address to connect to, for as long as `keep` runs.

    `up` hears that a child is there, `down` that it is gone and why; `answered` hears its frames. `command` gets
    `--connect` and `--module` appended.
    """

    def __init__(
        self,
        command: Sequence[str],
        module: str,
        start_seconds: float,
        up: Callable[[ChildLink], None],
        down: Callable[[str], None],
        answered: Callable[[ChildLink, Response], None],
    ) -> None:
        self._command, self._module, self._start_seconds = list(command), module, start_seconds
        self._up, self._down, self._answered = up, down, answered
        self._token = ""
        self._link: asyncio.Future[ChildLink] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._mouthpiece = Mouthpiece()
        self._leash = Leash()
        self._reason = ""

    @property
    def pid(self) -> int | None:
        """The running child's process id."""
        return self._process.pid if self._process else None

    async def keep(self) -> None:
        """Start children until cancelled; leaves none behind."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: ChildLink(self._greet, self._answered), "127.0.0.1", 0)
        address = "{}:{}".format(*listener.sockets[0].getsockname()[:2])
        pause = FIRST_PAUSE
        try:
            while True:
                started = loop.time()
                self._down(await self._live(address))
                pause = FIRST_PAUSE if loop.time() - started > STEADY_SECONDS else min(pause * 2, LONGEST_PAUSE)
                await asyncio.sleep(pause)
        finally:
            listener.close()

    def kill(self, reason: str) -> None:
        """End the child at once, whatever it is doing."""
        self._reason = self._reason or reason
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            # A launcher such as Wine's may stand between us and the process: the whole group goes.
            if sys.platform == "win32":
                self._process.kill()
            else:
                os.killpg(self._process.pid, signal.SIGKILL)

    async def _live(self, address: str) -> str:
        """The life of one child; answers why it ended."""
        self._reason, self._token = "", secrets.token_hex(16)
        link: asyncio.Future[ChildLink] = asyncio.get_running_loop().create_future()
        self._link = link
        self._mouthpiece = Mouthpiece()
        try:
            process = await self._spawn(address, self._mouthpiece)
        except OSError as error:
            return f"{self._command[0]} cannot be started: {error.strerror}"
        self._process = process
        self._leash.tie(process.pid)
        try:
            return await self._watch(process, link)
        finally:
            await self._bury(process, link)

    async def _spawn(self, address: str, mouthpiece: Mouthpiece) -> asyncio.subprocess.Process:
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        await mouthpiece.open()
        try:
            return await asyncio.create_subprocess_exec(
                *self._command,
                *("--connect", address, "--module", self._module),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=mouthpiece.output,
                stderr=mouthpiece.output,
                env={**os.environ, "PYTHONPATH": path, TOKEN_VARIABLE: self._token},
                start_new_session=True,
            )
        except BaseException:
            mouthpiece.close()
            raise
        finally:
            mouthpiece.handed_over()

    async def _watch(self, process: asyncio.subprocess.Process, link: asyncio.Future[ChildLink]) -> str:
        exited = asyncio.ensure_future(process.wait())
        try:
            first: set[asyncio.Future[Any]] = {exited, link}
            await asyncio.wait(first, timeout=self._start_seconds, return_when=asyncio.FIRST_COMPLETED)
            if not link.done():
                return await self._ended(process) if exited.done() else "the terminal's process did not start in time"
            self._up(link.result())
            closed = asyncio.ensure_future(link.result().closed.wait())
            await asyncio.wait({exited, closed}, return_when=asyncio.FIRST_COMPLETED)
            closed.cancel()
            # Both come together, but the exit code tells more than the closed socket.
            await asyncio.wait({exited}, timeout=0.5)
            return self._reason or await self._ended(process)
        finally:
            exited.cancel()

    async def _ended(self, process: asyncio.subprocess.Process) -> str:
        said = await self._mouthpiece.chatter.last_words()
        return f"the terminal's process ended by itself (exit code {process.returncode}){said and f': {said}'}"

    async def _bury(self, process: asyncio.subprocess.Process, link: asyncio.Future[ChildLink]) -> None:
        """Wait until the process and its socket are both gone: only then may another one start."""
        self.kill("stopped")
        await asyncio.shield(process.wait())
        if link.done() and not link.cancelled():
            await asyncio.shield(link.result().closed.wait())
        self._mouthpiece.close()
        self._leash.loose()
        self._process, self._link = None, None

    def _greet(self, link: ChildLink, hello: Hello) -> bool:
        if self._link is None or self._link.done() or not hmac.compare_digest(hello.token, self._token):
            return False
        self._link.set_result(link)
        return True
