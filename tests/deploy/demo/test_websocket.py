"""Websockets by hand: what is pushed, what is said, and either side leaving."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from wsproto.events import CloseConnection, Ping, TextMessage

from deploy.demo import authority
from deploy.demo.serving import serve
from deploy.demo.web import Answer, Request, Response, Socket, Upgrade
from deploy.demo.websocket import is_wanted
from tests.deploy.demo.callers import Feed, connected


class Echo:
    """Says back what it hears; `left` is set when its caller is gone."""

    def __init__(self) -> None:
        self.left = asyncio.Event()

    def answer(self, request: Request) -> Answer:
        return Upgrade(serve=self.talk) if is_wanted(request) and request.path == "/echo" else Response(status=403)

    async def talk(self, socket: Socket) -> None:
        try:
            heard = ""
            while heard != "enough":
                heard = await socket.receive()
                await socket.send(heard)
        finally:
            self.left.set()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def port(tmp_path: Path, echo: Echo) -> AsyncIterator[int]:
    _, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    listening = await serve(echo.answer, context, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()


async def opened(port: int, folder: Path, path: str = "/echo") -> Feed:
    context = ssl.create_default_context(cafile=str(folder / "broker-ca.pem"))
    return await Feed.open(await connected(("localhost", port), context, "http/1.1"), path, {})


async def test_texts_go_both_ways_and_may_come_in_parts(port: int, tmp_path: Path) -> None:
    feed = await opened(port, tmp_path)
    feed.send(TextMessage(data="he", message_finished=False))
    feed.send(TextMessage(data="llo"))
    assert await feed.next() == "hello"
    feed.leave()


async def test_a_ping_is_answered(port: int, tmp_path: Path) -> None:
    feed = await opened(port, tmp_path)
    feed.send(Ping(payload=b"there?"))
    assert await feed.next() == b"there?"
    feed.leave()


@pytest.mark.parametrize("politely", [True, False])
async def test_it_notices_that_the_caller_has_left(port: int, tmp_path: Path, echo: Echo, politely: bool) -> None:
    feed = await opened(port, tmp_path)
    if politely:
        feed.send(CloseConnection(code=1000))
        assert await feed.next() is None
    else:
        feed.leave()
    async with asyncio.timeout(5):
        await echo.left.wait()


async def test_when_the_server_has_said_enough_the_connection_ends(port: int, tmp_path: Path) -> None:
    feed = await opened(port, tmp_path)
    feed.send(TextMessage(data="enough"))
    assert await feed.next() == "enough"
    assert await feed.next() is None


async def test_whoever_is_not_wanted_gets_an_ordinary_answer(port: int, tmp_path: Path) -> None:
    with pytest.raises(ConnectionRefusedError, match="403"):
        await opened(port, tmp_path, "/other")
