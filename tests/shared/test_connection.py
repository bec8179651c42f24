"""The short way gives what redis-py gives, never mixes replies up, and never swallows a cancellation."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import RedisError, ResponseError
from redis.exceptions import TimeoutError as TimedOut

from deploy.demo import authority
from deploy.embedded import Valkey
from shared.connection import Client, Line

PATIENCE_S = 5.0
ECHO = "return ARGV[1]"


def client(url: str, patience: float = PATIENCE_S) -> Client:
    return Client(ConnectionPool.from_url(url, retry=Retry(NoBackoff(), 0)), patience)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Client]:
    found = client(valkey.url)
    await found.set("place", "1")
    yield found
    await found.aclose()


@pytest.fixture
async def plain(valkey: Valkey) -> AsyncIterator[Redis]:
    found = Redis.from_url(valkey.url)
    yield found
    await found.aclose()


REPLIES = [
    "return 1",
    "return 'text'",
    "return {'a', 1, {'b'}}",
    "return nil",
    "return false",
    "return redis.status_reply('fine')",
    "return {}",
]


@pytest.mark.parametrize("script", REPLIES)
async def test_a_script_answers_as_it_does_on_the_library_s_way(redis: Client, plain: Redis, script: str) -> None:
    assert await redis.register_script(script)() == await plain.register_script(script)()


async def test_a_read_answers_as_it_does_on_the_library_s_way(redis: Client, plain: Redis) -> None:
    for group in ("ours", "theirs"):
        await plain.xgroup_create("s", group, mkstream=True)
    await plain.xadd("s", {"m": "1", "k": b"\x00\xff"})
    await plain.xadd("s", {"m": "2"})
    for count in (1, 5, 5):  # the last one finds nothing
        ours = await redis.xreadgroup("ours", "c", {"s": ">"}, count=count, block=5)
        assert ours == await plain.xreadgroup("theirs", "c", {"s": ">"}, count=count, block=5)


async def test_what_the_server_refuses_is_raised_and_the_line_stays(redis: Client) -> None:
    with pytest.raises(ResponseError, match="NOGROUP"):
        await redis.xreadgroup("none", "c", {"s": ">"}, count=1)
    with pytest.raises(ResponseError, match="mine"):
        await redis.register_script("return redis.error_reply('mine')")()
    assert await redis.register_script(ECHO)(args=["after"]) == b"after"


async def test_a_command_beside_a_blocked_read_does_not_wait_for_it(redis: Client) -> None:
    await redis.xgroup_create("s", "g", mkstream=True)
    reading: asyncio.Future[Any] = asyncio.ensure_future(redis.xreadgroup("g", "c", {"s": ">"}, count=1, block=0))
    while not any(b"xreadgroup" in str(c["cmd"]).encode() for c in await redis.client_list()):
        assert not reading.done()
    assert await redis.register_script(ECHO)(args=["beside"]) == b"beside"
    assert not reading.done()
    entry = await redis.xadd("s", {"m": "1"})
    assert [[b"s", [(entry, {b"m": b"1"})]]] == await reading


async def test_many_at_the_same_time_get_their_own_replies(redis: Client) -> None:
    echo = redis.register_script(ECHO)
    replies = await asyncio.gather(*(echo(args=[str(n)]) for n in range(50)))
    assert replies == [str(n).encode() for n in range(50)]


async def test_a_late_reply_is_an_error_and_no_answer_to_what_comes_next(valkey: Valkey, plain: Redis) -> None:
    hasty = client(valkey.url, patience=0.1)
    echo = hasty.register_script(ECHO)
    await echo(args=["before"])
    await plain.client_pause(300)
    with pytest.raises(TimedOut):
        await echo(args=["late"])
    await plain.client_unpause()
    assert await echo(args=["next"]) == b"next"
    await hasty.aclose()


async def test_a_connection_that_the_server_closed_meanwhile_is_opened_anew(redis: Client, plain: Redis) -> None:
    echo = redis.register_script(ECHO)
    for number in range(3):
        assert await echo(args=[str(number)]) == str(number).encode()
        line = redis._line
        assert line is not None
        await plain.client_kill_filter(_type="normal", skipme=True)
        while line.is_open:
            await asyncio.sleep(0)


async def test_a_connection_that_breaks_under_a_command_is_an_error(redis: Client, plain: Redis) -> None:
    await redis.xgroup_create("s", "g", mkstream=True)
    reading: asyncio.Future[Any] = asyncio.ensure_future(redis.xreadgroup("g", "c", {"s": ">"}, count=1, block=0))
    while (line := redis._line) is None or line._answer is None:
        await asyncio.sleep(0)
    await plain.client_kill_filter(_type="normal", skipme=True)
    with pytest.raises(Disconnected, match="closed the connection"):
        await reading


async def test_a_server_that_is_gone_is_an_error() -> None:
    lost = client("redis://127.0.0.1:1/0")
    with pytest.raises(Disconnected):
        await lost.evalsha("0" * 40, 0)
    await lost.aclose()


async def test_a_cancellation_is_never_swallowed_and_leaves_no_reply_behind(redis: Client) -> None:
    echo = redis.register_script(ECHO)
    ended = 0
    for number in range(200):

        async def for_ever() -> None:
            while True:
                await echo(args=["endless"])

        task = asyncio.create_task(for_ever())
        for _ in range(number % 7):
            await asyncio.sleep(0.0002)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=5)
        ended += len(done)
        assert await echo(args=[str(number)]) == str(number).encode()
    assert ended == 200


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def answered_by(
    serve: Serve, server_side: ssl.SSLContext | None = None, ours: ssl.SSLContext | None = None
) -> AsyncIterator[Line]:
    """A line to a server that is made up for the test; when the context ends, so have both."""
    ended = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        await reader.read()
        writer.close()
        ended.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=server_side)
    address = server.sockets[0].getsockname()[:2]
    name = "localhost" if ours else None
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(asyncio.Protocol, *address, ssl=ours, server_hostname=name)
    line = Line(transport)
    yield line
    line.close(Disconnected("done"))
    await ended.wait()
    server.close()


async def test_a_reply_may_come_in_pieces_and_news_between_is_passed_over() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        for piece in (b"*2\r\n$1", b"\r\na\r\n", b":", b"7\r\n"):
            writer.write(piece)
            await asyncio.sleep(0.001)
        await reader.read(100)
        writer.write(b">2\r\n+MOVING\r\n:1\r\n+OK\r\n")

    async with answered_by(serve) as line:
        assert await line.ask(b"question", PATIENCE_S) == [b"a", 7]
        assert await line.ask(b"question", PATIENCE_S) == b"OK"


async def test_an_encrypted_connection_is_a_line_like_any_other(tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b":%d\r\n" % len(await reader.read(100)))

    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    async with answered_by(serve, context, ssl.create_default_context(cafile=str(ca))) as line:
        assert await line.ask(b"question", PATIENCE_S) == 8


@pytest.mark.parametrize("said", [b"+OK\r\n", b"what is this\r\n"])
async def test_a_server_that_says_what_nobody_asked_is_hung_up_on(said: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)

    async with answered_by(serve) as line:
        while line.is_open:
            await asyncio.sleep(0)


async def test_a_reply_that_is_none_is_an_error() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"what is this\r\n")

    async with answered_by(serve) as line:
        with pytest.raises(RedisError):
            await line.ask(b"question", PATIENCE_S)
        assert not line.is_open
