"""HTTP/2 by hand: many calls at once, slow readers, calls that are given up or cut."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.demo import authority
from deploy.demo.serving import serve
from deploy.demo.web import Answer, Hangup, Request, Response, Stream
from tests.deploy.demo.callers import Http2Caller, connected

LONG = bytes(range(256)) * 1000


@dataclass
class Server:
    """Answers by path; notes what came and which endless answers have ended."""

    seen: list[Request] = field(default_factory=list)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, request: Request) -> Answer:
        self.seen.append(request)
        match request.path:
            case "/cut":
                return Hangup()
            case "/endless":
                return Stream(headers={"Content-Type": "text/plain"}, pieces=self.endless())
            case "/long":
                return Response(body=LONG)
            case _:
                return Response(body=request.path.encode(), cookies={"a": "1", "b": "2"})

    async def endless(self) -> AsyncIterator[bytes]:
        try:
            yield b"more\n"
            await asyncio.Event().wait()  # no news, for ever
        finally:
            self.over.set()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def caller(tmp_path: Path, server: Server) -> AsyncIterator[Http2Caller]:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    listening = await serve(server.answer, context, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    streams = await connected(("localhost", port), ssl.create_default_context(cafile=str(ca)), "h2")
    yield Http2Caller(streams, f"localhost:{port}")
    streams[1].close()
    listening.close()


async def test_calls_at_the_same_time_are_answered_each_by_itself(caller: Http2Caller, server: Server) -> None:
    numbers = [caller.ask("DELETE", f"/{name}?locale=en", {"cookie": "x=1; y=2"}, b"amount=0.05") for name in "abc"]
    await caller.ended(*numbers)
    assert [bytes(caller.answers[n][1]) for n in numbers] == [b"/a", b"/b", b"/c"]
    request = server.seen[0]
    assert (request.method, request.query, request.form) == ("DELETE", {"locale": "en"}, {"amount": "0.05"})
    assert request.cookies == {"x": "1", "y": "2"}
    assert request.headers["host"].startswith("localhost:")


async def test_a_long_answer_goes_at_the_pace_of_its_reader_and_holds_up_no_other(caller: Http2Caller) -> None:
    long = caller.ask("GET", "/long")
    short = caller.ask("GET", "/short")
    await caller.ended(long, short)
    assert bytes(caller.answers[long][1]) == LONG
    assert bytes(caller.answers[short][1]) == b"/short"


async def test_an_endless_answer_ends_when_it_is_given_up(caller: Http2Caller, server: Server) -> None:
    stream = caller.ask("GET", "/endless")
    while stream not in caller.answers or len(caller.answers[stream][1]) < 5:
        await caller.read()
    caller.leave(stream)
    async with asyncio.timeout(5):
        await server.over.wait()
    after = caller.ask("GET", "/after")
    await caller.ended(after)
    assert bytes(caller.answers[after][1]) == b"/after"


async def test_a_call_that_gets_no_answer_is_cut_and_the_others_go_on(caller: Http2Caller) -> None:
    cut, good = caller.ask("GET", "/cut"), caller.ask("GET", "/good")
    await caller.ended(cut, good)
    assert caller.cut == {cut}
    assert bytes(caller.answers[good][1]) == b"/good"
