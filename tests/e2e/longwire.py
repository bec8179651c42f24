"""A wire to a Redis server on which one script may be long on its way, while everything else passes at once."""

import asyncio
import hashlib
from contextlib import suppress
from typing import Self

from deploy.directory import HOST

CHUNK = 65536


class LongWire:
    """Listens on loopback while the context lasts, and connects each client to the port `behind` it."""

    def __init__(self) -> None:
        self.port = 0
        self.behind = 0
        self._held: tuple[bytes, ...] = ()
        self._seconds = 0.0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    def hold(self, script: str, seconds: float, word: str = "") -> None:
        """Keep the next call of this script, one with this word in it, for so long before the server sees it."""
        name = hashlib.sha1(script.encode()).hexdigest()  # noqa: S324  Redis' own
        self._held, self._seconds = (b"EVALSHA", name.encode(), word.encode()), seconds

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._joined(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _joined(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(HOST, self.behind)
        back = asyncio.create_task(_passed(inner, writer))
        try:
            with suppress(OSError):
                while data := await reader.read(CHUNK):
                    await self._long_way(data)
                    outer.write(data)
                    await outer.drain()
        finally:
            back.cancel()
            for each in (outer, writer):
                each.transport.abort()

    async def _long_way(self, data: bytes) -> None:
        if self._held and all(part in data for part in self._held):
            self._held = ()
            await asyncio.sleep(self._seconds)


async def _passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
