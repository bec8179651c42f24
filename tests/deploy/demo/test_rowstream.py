"""Lines that never end: everything first, then what changed, then a sign of life."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from deploy.demo import rowstream
from deploy.demo.rowstream import PING_EVERY, lines
from tests.deploy.demo.conftest import Bench


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowstream, "LOOK_S", 0)


async def following(found: AsyncIterator[bytes], count: int) -> list[Any]:
    return [msgspec.json.decode(await anext(found)) for _ in range(count)]


async def test_first_all_rows_then_what_changed_and_what_went(bench: Bench) -> None:
    book = bench.book()
    orders = lines(lambda: list(book.orders.values()))
    assert await following(orders, 1) == [{"type": "snapshot", "d": []}]
    form = {"instrument": "EURUSD", "qty": "0.1", "side": "buy", "type": "limit", "limitPrice": "1.05"}
    first, second = book.place(form, bench.now), book.place(form, bench.now)
    (update,) = await following(orders, 1)
    assert [row["id"] for row in update["d"]] == [first.id, second.id]
    book.cancel(first.id, bench.now)
    (update,) = await following(orders, 1)
    assert [(row["id"], row["status"]) for row in update["d"]] == [(first.id, "cancelled")]
    bench.pass_time(book, book.rules.keep_final + 1)
    assert await following(orders, 1) == [{"type": "update", "d": [], "removed": [first.id]}]


async def test_when_nothing_happens_there_is_a_sign_of_life(bench: Bench) -> None:
    looks = 0

    def look() -> list[Any]:
        nonlocal looks
        looks += 1
        return []

    assert await following(lines(look), 2) == [{"type": "snapshot", "d": []}, {"type": "ping"}]
    assert looks == PING_EVERY + 1
