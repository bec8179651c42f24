"""A gate passes bytes on until it is cut, lets people in again afterwards, and nobody while it is shut."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from deploy.chaos.gate import Gate
from deploy.directory import HOST

PATIENCE_S = 10


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(1024):
            writer.write(data.upper())
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.fixture
async def behind() -> AsyncIterator[int]:
    """The port of a server that answers in capitals."""
    server = await asyncio.start_server(echo, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
async def gate() -> AsyncIterator[Gate]:
    found = Gate()
    yield found
    await found.close()


class Client:
    """A connection through a gate."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def asks(self, word: bytes) -> bytes:
        """The answer; nothing when the connection is broken."""
        try:
            self._writer.write(word)
            async with asyncio.timeout(PATIENCE_S):
                return await self._reader.read(1024)
        except ConnectionError:
            return b""

    async def is_broken(self) -> bool:
        """Wait for the end of the connection, without a word of our own."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._reader.read(1024) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self._writer.transport.abort()
        await asyncio.sleep(0)  # the loop takes the transport away


Connect = Callable[[int], Awaitable[Client]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connections that end with the test."""
    clients: list[Client] = []

    async def to(port: int) -> Client:
        clients.append(Client(*await asyncio.open_connection(HOST, port)))
        return clients[-1]

    yield to
    for client in clients:
        await client.close()


async def test_bytes_pass_both_ways(gate: Gate, behind: int, connect: Connect) -> None:
    client = await connect(await gate.open(behind))

    assert [await client.asks(b"one"), await client.asks(b"two")] == [b"ONE", b"TWO"]


async def test_a_cut_breaks_what_is_connected_and_lets_the_next_one_in(
    gate: Gate, behind: int, connect: Connect
) -> None:
    port = await gate.open(behind)
    clients = [await connect(port), await connect(port)]
    assert [await client.asks(b"a") for client in clients] == [b"A", b"A"]

    gate.cut()

    assert [await client.is_broken() for client in clients] == [True, True]
    again = await connect(port)
    assert await again.asks(b"again") == b"AGAIN"


async def test_nobody_gets_through_while_it_is_shut_and_everybody_afterwards(
    gate: Gate, behind: int, connect: Connect
) -> None:
    port = await gate.open(behind)
    gate.shut = True
    refused = await connect(port)
    assert await refused.asks(b"hello") == b""

    gate.shut = False

    admitted = await connect(port)
    assert await admitted.asks(b"hello") == b"HELLO"


async def test_nothing_listens_after_it_was_closed(gate: Gate, behind: int, connect: Connect) -> None:
    port = await gate.open(behind)
    client = await connect(port)
    assert await client.asks(b"a") == b"A"

    await gate.close()

    assert await client.is_broken()
    with pytest.raises(ConnectionError):
        await connect(port)
