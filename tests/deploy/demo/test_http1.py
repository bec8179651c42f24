"""HTTP/1.1 by hand: what comes over a real connection, in pieces, kept open, or broken; answers that never end."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.demo import authority
from deploy.demo.serving import serve
from deploy.demo.web import Answer, Hangup, Request, Response, Stream

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def seen() -> list[Request]:
    return []


@pytest.fixture
async def over() -> asyncio.Event:
    """Set when an endless answer has ended."""
    return asyncio.Event()


async def endless(over: asyncio.Event) -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"more\n"
            await asyncio.sleep(0.01)
    finally:
        over.set()


async def three() -> AsyncIterator[bytes]:
    for piece in (b"one", b"two", b"three"):
        yield piece


@pytest.fixture
async def line(tmp_path: Path, seen: list[Request], over: asyncio.Event) -> AsyncIterator[Streams]:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))

    def answer(request: Request) -> Answer:
        seen.append(request)
        match request.path:
            case "/cut":
                return Hangup()
            case "/endless":
                return Stream(headers={"Content-Type": "text/plain"}, pieces=endless(over))
            case "/three":
                return Stream(pieces=three())
            case _:
                return Response(body=request.path.encode())

    server = await serve(answer, context, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    client = ssl.create_default_context(cafile=str(ca))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
    yield reader, writer
    writer.close()
    server.close()


async def answered(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(int(row.split(b":")[1]) for row in head.split(b"\r\n") if row.lower().startswith(b"content-length"))
    return await reader.readexactly(length)


async def test_requests_follow_one_another_on_one_connection(line: Streams) -> None:
    reader, writer = line
    for path in (b"/one", b"/two"):
        writer.write(b"GET " + path + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await answered(reader) == path


async def test_a_request_may_come_in_pieces_and_a_delete_may_have_a_form(line: Streams, seen: list[Request]) -> None:
    reader, writer = line
    for piece in (b"DELETE /a%2Eb?locale=en&x= HTT", b"P/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\namount", b"=0.05"):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    assert await answered(reader) == b"/a%2Eb"
    (request,) = seen
    assert (request.method, request.query, request.form) == ("DELETE", {"locale": "en", "x": ""}, {"amount": "0.05"})


async def test_a_client_that_wants_it_closed_gets_it_closed(line: Streams) -> None:
    reader, writer = line
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert await answered(reader) == b"/"
    assert await reader.read() == b""


async def test_nonsense_ends_the_connection_and_nothing_else(line: Streams, seen: list[Request]) -> None:
    reader, writer = line
    writer.write(b"\x00\x01nonsense\r\n\r\n")
    assert await reader.read() == b""
    assert seen == []


async def test_an_answer_in_pieces_comes_to_its_end_and_the_connection_goes_on(line: Streams) -> None:
    reader, writer = line
    writer.write(b"GET /three HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"chunked" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readuntil(b"0\r\n\r\n") == b"3\r\none\r\n3\r\ntwo\r\n5\r\nthree\r\n0\r\n\r\n"
    writer.write(b"GET /after HTTP/1.1\r\nHost: x\r\n\r\n")
    assert await answered(reader) == b"/after"


async def test_an_endless_answer_ends_when_the_client_leaves(line: Streams, over: asyncio.Event) -> None:
    reader, writer = line
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"more\n\r\n5\r\nmore\n")
    writer.close()
    async with asyncio.timeout(5):
        await over.wait()


async def test_no_answer_is_a_connection_that_is_cut(line: Streams) -> None:
    reader, writer = line
    writer.write(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n")
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
