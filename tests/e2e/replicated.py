"""Servers that stand for one: a primary and its replica with three Sentinels, and a cluster of six nodes.

Each server is reached through a door of its own, so that the way from the primary to its replica can be stalled while
clients go on; the server's killing then loses what it has acknowledged.
"""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.chaos.gate import CHUNK, Gate
from deploy.daemon import Health, Launch
from deploy.directory import HOST, free_port, write_whole
from deploy.embedded import BARE_ENVIRONMENT, Valkey, ask
from shared import seeking
from shared.endpoints import understood

NAME, PASSWORD = "desk", "sesame"
LOOK_S = 0.05
DOWN_MS, NODE_MS = 1000, 1000
"""After how long without a sign of life a primary is given up."""


class Door(Gate):
    """A gate that can hold back what a server sends to its replicas."""

    def __init__(self) -> None:
        super().__init__()
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner, outer = await asyncio.open_connection(HOST, self._behind)
        self._writers.add(outer)
        replica = asyncio.Event()

        async def there() -> None:
            while data := await reader.read(CHUNK):
                if b"PSYNC" in data:
                    replica.set()
                outer.write(data)
                await outer.drain()

        async def back() -> None:
            while data := await inner.read(CHUNK):
                if replica.is_set():
                    await self.flowing.wait()
                writer.write(data)
                await writer.drain()

        ways = {asyncio.create_task(there()), asyncio.create_task(back())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers.discard(outer)
            outer.transport.abort()


class Server(Valkey):
    """A Valkey with a door before it; `more` settings hold from its next start on."""

    greeting = "PING"
    """What has to be said to one that follows before it lets us read."""

    def __init__(self, directory: Path, more: Mapping[str, object]) -> None:
        super().__init__(directory, free_port())
        self.door = Door()
        self.more = dict(more)

    async def serve(self) -> None:
        """Open the door and start."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(self.directory / "password", PASSWORD)
        assert self._pinned is not None
        await self.door.open(self._pinned)
        await self.started()

    def client(self) -> Redis:
        """A client that comes in by the back door."""
        return Redis(host=HOST, port=self.port, password=PASSWORD, single_connection_client=True)

    def kill(self) -> None:
        """As when the machine loses its power: what was not passed on is gone."""
        assert self.pid is not None
        os.kill(self.pid, signal.SIGKILL)
        self.door.cut()
        self.door.flowing.set()

    async def close(self) -> None:
        """Stop, and shut the door."""
        self.stop()
        await self.door.close()

    def _settings(self) -> str:
        more = {
            "masterauth": PASSWORD,
            "replica-announce-ip": HOST,
            "replica-announce-port": self.door.port,
            "repl-diskless-sync-delay": 0,
            "repl-ping-replica-period": 1,
            **self.more,
        }
        return super()._settings() + "".join(f"{key} {value}\n" for key, value in more.items())


class Sentinel(Valkey):
    """The same binary as a Sentinel, which keeps its settings in a file that it writes itself."""

    title = "Sentinel"

    def __init__(self, directory: Path, primary: int) -> None:
        super().__init__(directory)
        self._primary = primary

    def prepare(self) -> Iterator[float]:
        yield from super().prepare()

    def launch(self) -> Launch:
        binary = super().launch().argv[0]
        lines = [
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.directory}",
            f"sentinel monitor {NAME} {HOST} {self._primary} 2",
            f"sentinel auth-pass {NAME} {PASSWORD}",
            f"sentinel down-after-milliseconds {NAME} {DOWN_MS}",
            f"sentinel failover-timeout {NAME} 2000",
        ]
        config = self.directory / "sentinel.conf"
        write_whole(config, "\n".join(lines) + "\n")
        return Launch((binary, str(config), "--sentinel"), BARE_ENVIRONMENT, signal.SIGTERM)

    def health(self, pid: int) -> Health:
        return "ready" if b"+PONG" in ask(self.port, b"PING\r\nQUIT\r\n") else "silent"


class Watched:
    """A primary and a replica under three Sentinels; it stands where a `Valkey` does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.servers = [Server(folder / f"server-{n}", {}) for n in range(2)]
        self.sentinels: list[Sentinel] = []
        self.pid = 0

    @property
    def port(self) -> int:
        """Where nobody should connect: whoever watches knows where the primary is."""
        return self.servers[0].door.port

    @property
    def url(self) -> str:
        """The Sentinels."""
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis+sentinel://:{PASSWORD}@{hosts}/{NAME}"

    async def started(self) -> None:
        """Return when the Sentinels know everybody."""
        first, second = self.servers
        await first.serve()
        second.more = {"replicaof": f"{HOST} {first.door.port}"}
        await second.serve()
        self.sentinels = [Sentinel(self._folder / f"sentinel-{n}", first.door.port) for n in range(3)]
        for sentinel in self.sentinels:
            await sentinel.started()
        await self.pair()

    async def close(self) -> None:
        """Stop all of them."""
        for sentinel in self.sentinels:
            sentinel.stop()
        for server in self.servers:
            await server.close()

    async def primary(self) -> Server:
        """The one that the Sentinels name, as soon as most of them name one."""
        options = seeking._options(understood(self.url), 2.0)
        find = seeking.finder(understood(self.url), options)
        while True:
            with suppress(RedisError):
                _, port = await find()
                return next(server for server in self.servers if server.door.port == port)
            await asyncio.sleep(LOOK_S)

    async def pair(self) -> tuple[Server, Server]:
        """The primary and its replica, when every Sentinel knows both, and the other Sentinels."""
        while not await self._is_whole():
            await asyncio.sleep(LOOK_S)
        primary = await self.primary()
        (replica,) = (server for server in self.servers if server is not primary)
        return primary, replica

    async def _is_whole(self) -> bool:
        primary = await self.primary()
        (replica,) = (server for server in self.servers if server is not primary)
        try:
            told = [await asked(replica, "INFO", "replication"), await asked(primary, "INFO", "replication")]
        except (RedisError, OSError):
            return False
        if told[0]["role"] != "slave" or told[0]["master_link_status"] != "up" or told[1]["role"] != "master":
            return False
        return all([await self._knows(sentinel) for sentinel in self.sentinels])

    async def _knows(self, sentinel: Sentinel) -> bool:
        client = Redis(host=HOST, port=sentinel.port, protocol=2)
        try:
            raw: Any = await client.execute_command("SENTINEL", "MASTER", NAME)  # type: ignore[no-untyped-call]
            replicas: Any = await client.execute_command("SENTINEL", "REPLICAS", NAME)  # type: ignore[no-untyped-call]
        finally:
            await client.aclose()
        told = dict(zip(raw[::2], raw[1::2], strict=True))
        flags = [dict(zip(each[::2], each[1::2], strict=True))[b"flags"] for each in replicas]
        return told[b"num-other-sentinels"] == b"2" and told[b"flags"] == b"master" and flags == [b"slave"]

    async def fail_over(self, streams: Sequence[str]) -> list[int]:
        """Kill the primary, whose replica is behind; how many entries of each stream were acknowledged and are gone.

        The killed one comes back as a replica, as an operator's supervisor would have it.
        """
        killed = await self.primary()
        had = [await entries(killed, stream) for stream in streams]
        killed.kill()
        while (heir := await self.primary()) is killed:
            await asyncio.sleep(LOOK_S)
        has = [await entries(heir, stream) for stream in streams]
        killed.more = {"replicaof": f"{HOST} {heir.door.port}"}
        await killed.started()
        return [len(before - after) for before, after in zip(had, has, strict=True)]


async def asked(server: Server, *question: str) -> Any:
    """A server's answer, by the back door."""
    client = server.client()
    try:
        return await client.execute_command(*question)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


async def entries(server: Server, stream: str) -> set[str]:
    """The ids in a stream of one server, whatever its role."""
    client = server.client()
    try:
        await client.execute_command(server.greeting)  # type: ignore[no-untyped-call]
        return {entry.decode() for entry, _ in cast(list[Any], await client.xrange(stream))}
    finally:
        await client.aclose()
