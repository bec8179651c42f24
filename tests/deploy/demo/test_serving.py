"""A stand-in at work: the protocol that the client wants, and what happens by itself."""

import asyncio
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.demo import authority
from deploy.demo.serving import Served
from deploy.demo.web import Answer, Request, Response
from tests.deploy.demo.callers import Http2Caller, connected


class Ticking(Served):
    """Counts how often it was looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.ticks = 0

    def answer(self, request: Request) -> Answer:
        return Response(body=request.path.encode())

    def advance(self) -> None:
        self.ticks += 1


async def test_the_client_chooses_the_protocol_and_time_passes_without_anybody_asking(tmp_path: Path) -> None:
    ca, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    stand_in = Ticking()
    await stand_in.start(context)
    to = ("localhost", stand_in.port)
    first = await connected(to, ssl.create_default_context(cafile=str(ca)), "h2", "http/1.1")
    assert first[1].get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    caller = Http2Caller(first, "localhost")
    await caller.ended(caller.ask("GET", "/two"))
    assert caller.answers[1][1] == b"/two"
    second = await connected(to, ssl.create_default_context(cafile=str(ca)), "http/1.1")
    second[1].write(b"GET /one HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert await second[0].readuntil(b"/one")
    async with asyncio.timeout(5):
        while stand_in.ticks < 2:
            await asyncio.sleep(0.01)
    await stand_in.stop()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", stand_in.port)
    for _, writer in (first, second):
        writer.close()


async def test_one_that_never_started_can_be_stopped() -> None:
    await Ticking().stop()
