"""The calls that are timed, at a real stand-in broker."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.bench.calls import KINDS, Page
from deploy.demo import authority, scenery
from deploy.demo.broker import Broker
from deploy.demo.trader import Seat
from deploy.demo.web import Answer, Request


class Noting(Broker):
    """A broker that notes what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        super().__init__(scenery.quoted, time.time)

    def answer(self, request: Request) -> Answer:
        self.seen.append((request.method, request.path))
        return super().answer(request)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Noting]:
    _, context = authority.issue(tmp_path, "localhost", datetime.now(UTC))
    broker = Noting()
    await broker.start(context)
    yield broker
    await broker.stop()


async def test_every_kind_of_call_is_made_and_timed(broker: Noting, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "broker-ca.pem"))
    page = Page(Seat(host="localhost", port=broker.port, account="10001", token=broker.token, context=context))
    for kind in KINDS:
        broker.seen.clear()
        times = await asyncio.to_thread(page.times, kind, 4)
        assert len(times) == 4
        assert all(0 < took < 5000 for took in times)
        methods = [method for method, _ in broker.seen]
        assert methods == (["GET"] * 4 if kind.call == "poll" else ["POST", "DELETE"] * 2)
    assert {order.status for order in broker.books["10001"].orders.values()} == {"cancelled"}
    page.close()


def test_kinds_have_titles_that_differ() -> None:
    assert len({kind.title for kind in KINDS}) == len(KINDS) == 4
