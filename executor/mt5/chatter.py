"""What the terminal's process prints, line by line into our log.

It prints into a pipe of its own: Windows' Python under Wine does not start when its output is a file, as ours may well
be. A terminal that the process has started may keep the pipe for long after it, so nobody waits long for its end.
"""

import asyncio
import contextlib
import logging
import os
import sys

log = logging.getLogger(__name__)

LONGEST = 10_000
"""Bytes that are kept of a line that does not end."""
LAST_WORDS_S = 0.3
"""How long the last words of a process that has ended may be on their way."""


class Chatter(asyncio.Protocol):
    """Takes what is printed; `last` is the newest line."""

    def __init__(self) -> None:
        self.last = ""
        self._rest = b""
        self._over = asyncio.Event()

    async def last_words(self) -> str:
        """The newest line, once the process has ended."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), LAST_WORDS_S)
        return self.last

    def data_received(self, data: bytes) -> None:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-LONGEST:]
        for line in lines:
            self._say(line)

    def eof_received(self) -> None:
        self._say(self._rest)
        self._rest = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self._over.set()

    def _say(self, line: bytes) -> None:
        if text := line.decode(errors="replace").strip():
            self.last = text
            log.warning("the terminal's process says: %s", text)


class Mouthpiece:
    """A pipe for one process: `output` is what it is started with, None where it shares ours."""

    def __init__(self) -> None:
        self.chatter = Chatter()
        self.output: int | None = None
        self._transport: asyncio.BaseTransport | None = None

    async def open(self) -> None:
        """Make the pipe. Windows shares our output instead: its pipes cannot be waited for."""
        if sys.platform == "win32":
            self.chatter.connection_lost(None)
            return
        reading, self.output = os.pipe()
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.connect_read_pipe(lambda: self.chatter, os.fdopen(reading, "rb", 0))

    def handed_over(self) -> None:
        """The process has its end; ours is not needed any more."""
        if self.output is not None:
            os.close(self.output)
            self.output = None

    def close(self) -> None:
        """Listen no longer."""
        self.handed_over()
        if self._transport is not None:
            self._transport.close()
            self._transport = None
