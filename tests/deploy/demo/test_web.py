"""HTTPS by hand: what comes over a real connection, in pieces, kept open, or broken."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.demo import authority
from deploy.demo.serving import serve
from deploy.demo.web import Request, Response

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def seen() -> list[Request]:
    return []


@pytest.fixture
async def line(tmp_path: Path, seen: list[Request]) -> AsyncIterator[Streams]:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))

    def answer(request: Request) -> Response:
        seen.append(request)
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
