"""Connections go to the primary that those name who are asked for it, and leave a server that is none any more."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ReadOnlyError, RedisError

from deploy.demo import authority
from deploy.directory import HOST, free_port
from deploy.embedded import Valkey
from shared import seeking, streams
from shared.cluster import slot
from shared.process import UserError

PATIENCE_S = 5.0
ECHO = "return ARGV[1]"
Answer = Callable[[Sequence[bytes]], bytes]


def packed(*words: str) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words)


def sentinel(port: int, epoch: int, host: str = HOST) -> Answer:
    return lambda _: packed("name", "desk", "ip", host, "port", str(port), "config-epoch", str(epoch))


def unknown(_: Sequence[bytes]) -> bytes:
    return b"-ERR No such master with that name\r\n"


def cluster_of(*nodes: tuple[int, int, str]) -> Answer:
    """Nodes by port, epoch and slots."""
    lines = [f"id {HOST}:{port}@1 master - 0 0 {epoch} connected {slots}" for port, epoch, slots in nodes]
    text = "".join(f"{line}\n" for line in lines).encode()
    return lambda _: b"$%d\r\n%s\r\n" % (len(text), text)


@asynccontextmanager
async def answering(answer: Answer, encrypted: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server made up for the test, which says OK to greetings and `answer` to questions; its port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            words = []
            for _ in range(int(line[1:])):
                size = int((await reader.readline())[1:])
                words.append((await reader.readexactly(size + 2))[:-2])
            writer.write(answer(words) if words[0] in (b"SENTINEL", b"CLUSTER") else b"+OK\r\n")
        writer.close()

    server = await asyncio.start_server(connected, HOST, 0, ssl=encrypted)
    yield server.sockets[0].getsockname()[1]
    server.close()


@asynccontextmanager
async def asking(path: str, valkey: Valkey, *answers: Answer, scheme: str = "redis+sentinel") -> AsyncIterator[Redis]:
    """A client of whoever those name that answer like this."""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(answering(answer)) for answer in answers]
        hosts = ",".join(f"{HOST}:{port}" for port in ports)
        client = streams.connect(f"{scheme}://:{valkey.password}@{hosts}/{path}")
        stack.push_async_callback(client.aclose)
        yield client


async def test_the_newest_of_what_sentinels_say_counts_on_both_ways(valkey: Valkey) -> None:
    old, new = sentinel(1, 3), sentinel(valkey.port, 4)
    async with asking("desk", valkey, old, new, old) as client:
        assert await client.ping()
        assert await client.register_script(ECHO)(args=["there"]) == b"there"


async def test_too_few_sentinels_are_no_answer(valkey: Valkey) -> None:
    """One that was cut off with the old primary must not lead us to it."""
    async with asking("desk", valkey, sentinel(valkey.port, 9), unknown, unknown) as client:
        with pytest.raises(Disconnected, match=r"1 of 3 Sentinels know desk .*No such master"):
            await client.ping()
    async with asking("desk", valkey, sentinel(valkey.port, 9), sentinel(valkey.port, 9), unknown) as client:
        assert await client.ping()


async def test_a_sentinel_that_is_silent_delays_but_does_not_hinder(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seeking, "ASK_S", 0.3)
    there = sentinel(valkey.port, 1)
    async with asking("desk", valkey, lambda _: b"", there, there) as client:
        assert await client.ping()


async def test_all_sentinels_away_is_a_lost_connection() -> None:
    client = streams.connect(f"redis+sentinel://{HOST}:{free_port()}/desk")
    for command in (client.ping, client.register_script(ECHO)):
        with pytest.raises(Disconnected, match="0 of 1 Sentinels know desk"):
            await command()
    await client.aclose()


async def test_where_it_is_encrypted_it_is_so_to_whoever_knows_the_primary_and_to_the_primary(tmp_path: Path) -> None:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    async with answering(unknown, context) as port, answering(sentinel(port, 1, "localhost"), context) as asked:
        for scheme, options in (("rediss", f"&ssl_ca_certs={ca}"), ("redis", ""), ("rediss", "")):
            client = streams.connect(f"{scheme}+sentinel://localhost:{asked}/desk?protocol=2{options}")
            if options:
                assert await client.echo("a") == b"OK"
            else:
                with pytest.raises(Disconnected, match="0 of 1 Sentinels know desk"):
                    await client.ping()
            await client.aclose()


async def test_the_newest_claim_on_the_slot_counts_and_nodes_are_learned(valkey: Valkey) -> None:
    mine, dead = slot("main"), free_port()
    told = cluster_of((1, 5, f"{mine}"), (valkey.port, 6, f"0-{mine}"), (2, 7, f"{mine + 1}-16383"))
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(answering(told))
        client = streams.connect(f"redis+cluster://:{valkey.password}@{HOST}:{dead},{HOST}:{port}?namespace=main")
        stack.push_async_callback(client.aclose)
        assert await client.ping()
        find = client.connection_pool.connection_kwargs["find"]
        assert (HOST, 2) in find._known


async def test_a_slot_that_nobody_has_is_a_lost_connection(valkey: Valkey) -> None:
    async with asking("?namespace=main", valkey, cluster_of((valkey.port, 1, "")), scheme="redis+cluster") as client:
        with pytest.raises(Disconnected, match="no node says who has slot"):
            await client.ping()


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[Valkey]:
    server = Valkey(tmp_path / "valkey")
    await server.started()
    yield server
    server.stop()


COMMANDS: dict[str, Callable[[Redis], Any]] = {
    "a script": lambda client: client.register_script("return redis.call('SET', KEYS[1], 1)")(keys=["a"]),
    "a read of a group": lambda client: client.xreadgroup("g", "c", {"s": ">"}, count=1, block=1),
    "any other": lambda client: client.set("a", 1),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize("kind", ["one", "sentinel"])
async def test_a_demoted_primary_is_left_for_its_successor(
    own: Valkey, valkey: Valkey, command: Callable[[Redis], Any], kind: str
) -> None:
    primary = own

    def now(question: Sequence[bytes]) -> bytes:
        return sentinel(primary.port, 1)(question)

    for server in (own, valkey):
        admin = Redis.from_url(server.url)
        await admin.config_set("requirepass", "same")
        await admin.xgroup_create("s", "g", mkstream=True)
        await admin.aclose()
    try:
        async with answering(now) as port:
            url = f"redis://:same@{HOST}:{own.port}" if kind == "one" else f"redis+sentinel://:same@{HOST}:{port}/desk"
            client = streams.connect(url)
            await command(client)
            admin = Redis.from_url(f"redis://:same@{HOST}:{own.port}")
            await admin.execute_command("REPLICAOF", HOST, str(free_port()))  # type: ignore[no-untyped-call]
            primary = valkey
            with pytest.raises(Disconnected, match="does not serve us any more") as caught:
                await command(client)
            assert isinstance(caught.value.__cause__, ReadOnlyError)
            if kind == "sentinel":
                await command(client)
            else:
                await admin.execute_command("REPLICAOF", "NO", "ONE")  # type: ignore[no-untyped-call]
                await command(client)
            await client.aclose()
            await admin.aclose()
    finally:
        back = Redis.from_url(f"redis://:same@{HOST}:{valkey.port}")
        await back.config_set("requirepass", valkey.password)
        await back.aclose()


async def test_what_the_server_refuses_for_another_reason_is_said_as_it_is(valkey: Valkey) -> None:
    client = streams.connect(valkey.url)
    await client.set("a", 1)
    with pytest.raises(RedisError, match="wrong kind"):
        await client.xlen("a")
    await client.aclose()


class OnSocket(Valkey):
    """A server that listens on a socket of the file system, too."""

    def _settings(self) -> str:
        return f"{super()._settings()}unixsocket {self.directory}/socket\n"


async def test_a_socket_of_the_file_system_is_an_address_too() -> None:
    with TemporaryDirectory() as folder:  # a short name: such a path has an end
        server = OnSocket(Path(folder))
        await server.started()
        try:
            client = streams.connect(f"unix://:{server.password}@{folder}/socket?db=1")
            assert await client.set("a", 1)
            assert await client.register_script(ECHO)(args=["there"]) == b"there"
            await client.aclose()
        finally:
            server.stop()


@pytest.mark.parametrize(
    ("options", "line"), [("ssl_ca_cert=x", "no option 'ssl_ca_cert'"), ("db=x", "value for 'db'")]
)
def test_an_option_that_cannot_be_used_is_one_line(options: str, line: str) -> None:
    with pytest.raises(UserError, match=f"^redis.url: .*{line}") as caught:
        streams.connect(f"redis://:hush@{HOST}:1/?{options}")
    assert "hush" not in str(caught.value)


async def test_an_address_does_not_change_what_replies_are(valkey: Valkey) -> None:
    client = streams.connect(f"{valkey.url}?decode_responses=true")
    await client.set("a", "b")
    assert await client.get("a") == b"b"
    await client.aclose()
