"""A door in a connection: passes bytes on both ways until it is cut, and lets nobody through while it is shut."""

import asyncio
from contextlib import suppress

from deploy.directory import HOST

CHUNK = 65536


class Gate:
    """Listens on loopback and connects each client to the port behind it."""

    def __init__(self) -> None:
        self.port = 0
        self._behind = 0
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.shut = False

    async def open(self, behind: int) -> int:
        """Begin to listen; returns the port."""
        self._behind = behind
        self._server = await asyncio.start_server(self._connected, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    def cut(self) -> None:
        """Break every connection at once, without a goodbye."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        """Stop listening, and break what is left."""
        if self._server is not None:
            self._server.close()
        while self._tasks:
            # Not cancelled: asyncio's servers complain of a connection whose task was. Cut at both ends, it ends.
            self.cut()
            await asyncio.wait(self._tasks, timeout=0.1)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            if not self.shut:
                await self._join(reader, writer)
        except OSError:
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(HOST, self._behind)
        self._writers.add(outer)
        try:
            ways = {asyncio.create_task(_pass(reader, outer)), asyncio.create_task(_pass(inner, writer))}
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            self._writers.discard(outer)
            outer.transport.abort()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
