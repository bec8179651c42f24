"""What became of a fact is in the log under the fact's id, with the deals: from the click to the deal by one word."""

import json
import logging
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.chronicle import log as chronicled
from shared.logs import JsonLines
from tests.executor.rig import Simulator, Source, account, ended, running


@pytest.fixture
def lines() -> Iterator[StringIO]:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines("executor"))
    chronicled.addHandler(handler)
    chronicled.setLevel(logging.INFO)
    yield written
    chronicled.removeHandler(handler)
    chronicled.setLevel(logging.NOTSET)


async def test_each_end_is_one_line_that_bears_the_id_of_its_fact(
    valkey: Valkey, redis: Redis, simulator: Simulator, lines: StringIO
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()):
        opened = await source.buy("p1")
        closed = await source.close("p1")
        await ended(redis, 2)

    told: list[dict[str, Any]] = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["fact"], line["message"].split(" (")[0]) for line in told] == [
        (opened.id, "main: filled"),
        (closed.id, "main: closed"),
    ]
    assert {deal for line in told for deal in line["deals"]} == {d.ticket for d in await simulator.deals()}
