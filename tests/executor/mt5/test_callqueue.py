"""The order of calls and what becomes of them, without a child."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from executor.mt5.callqueue import CallQueue, Gone, Urgency
from executor.mt5.child import Request, Response
from executor.mt5.childlink import ChildLink


class Written:
    """A link that keeps what is handed over."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def write(self, request: Request) -> None:
        self.requests.append(request)


class Bench:
    def __init__(self) -> None:
        self.killed: list[str] = []
        self.queue = CallQueue(self.killed.append)
        self.written = Written()
        self.link = cast(ChildLink, self.written)
        self.queue.open(self.link)

    def put(self, urgency: Urgency, name: str, deadline: float = 10.0) -> asyncio.Future[Any]:
        return self.queue.put(urgency, name, [], {}, deadline)

    def answer(self) -> None:
        self.queue.answered(self.link, Response(self.written.requests[-1].id, "value"))

    @property
    def handed_over(self) -> list[str]:
        return [each.function for each in self.written.requests]


async def test_the_most_urgent_goes_first_and_equals_keep_their_order() -> None:
    bench = Bench()
    for urgency, name in ((Urgency.READ, "a"), (Urgency.READ, "b"), (Urgency.SEND, "c"), (Urgency.SEND, "d")):
        bench.put(urgency, name)
    bench.put(Urgency.SETUP, "e")
    for _ in range(4):
        bench.answer()
    assert bench.handed_over == ["a", "c", "d", "e", "b"]


async def test_only_one_call_is_with_the_child() -> None:
    bench = Bench()
    first = bench.put(Urgency.READ, "a")
    bench.put(Urgency.SEND, "b")
    assert bench.handed_over == ["a"]
    bench.answer()
    assert (await first).kind == "value"
    assert bench.handed_over == ["a", "b"]


async def test_a_call_whose_caller_has_gone_is_not_handed_over() -> None:
    bench = Bench()
    bench.put(Urgency.READ, "a")
    bench.put(Urgency.SEND, "b").cancel()
    bench.put(Urgency.READ, "c")
    bench.answer()
    assert bench.handed_over == ["a", "c"]


async def test_closing_tells_what_the_child_had_from_what_it_never_saw() -> None:
    bench = Bench()
    had, waited = bench.put(Urgency.SEND, "a"), bench.put(Urgency.SEND, "b")
    bench.queue.close("killed")
    assert await had == Gone("killed", handed_over=True)
    assert await waited == Gone("killed", handed_over=False)
    assert await bench.put(Urgency.SEND, "c") == Gone("killed", handed_over=False)


async def test_a_deadline_counts_from_the_moment_the_call_is_handed_over() -> None:
    bench = Bench()
    bench.put(Urgency.READ, "slow", deadline=30)
    bench.put(Urgency.READ, "quick", deadline=0.01)
    await asyncio.sleep(0.05)
    assert bench.killed == []
    bench.answer()
    while not bench.killed:
        await asyncio.sleep(0.005)
    assert bench.killed == ["quick did not answer within 0.01 s, so its process was killed"]


async def test_an_answer_that_nobody_asked_for_costs_the_child_its_life() -> None:
    bench = Bench()
    call = bench.put(Urgency.SEND, "a")
    bench.queue.answered(bench.link, Response(999, "value"))
    assert bench.killed == ["it answered something that was not asked"]
    assert not call.done()
