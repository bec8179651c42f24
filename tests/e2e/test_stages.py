"""Two hundred trades through everything that `up` starts, some held up on purpose: each delay is in its own stage.

Where a trade was held up is known from what was done to it; how long each stage took is read from the signed facts and
outcomes and from the archive, none of which the metrics use; and the metrics have to say the same.
"""

import asyncio
import os
import random
import signal
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import psycopg
import pytest
from msgspec import Struct
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis

from deploy.bench import journey
from deploy.demo import scenery
from deploy.demo.broker import Broker
from deploy.demo.trader import Trader
from deploy.demo.web import Answer, Request, Response, Stream
from deploy.fleet import Fleet
from executor import scripts
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote
from shared import streams
from shared.facts import Fact
from shared.outcomes import Outcome
from shared.process import Stop
from shared.settings import Secret
from shared.wire import Codec, entry_time
from tests.e2e.longwire import LongWire
from tests.e2e.processes import belonging_to, wait_until_gone

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there are no embedded servers here"),
    pytest.mark.timeout(240),
]

SLOW_S = 1.0
"""A bound of the histogram's. What is held up takes longer, what is not takes milliseconds."""
HELD_S = 1.6
HANDS = 10
"""Orders are given by so many hands at once, or two hundred of them would take minutes."""
ROUND = 20
SLOW_ONES = 4
PATIENCE_S = 20.0
STAGES = ("observe", "publish", "queue", "decide", "terminal", "commit", "archive")
HEARD = {"commit", "archive", "end_to_end"}
"""These end for the service when it has heard that it is done, and in what is stored when it was."""
STALLS = 10
"""So many may have been heard of late on a machine with too much to do."""
OUTSIDE = {"observe", "archive"}
"""Stages before the capture and after the commit: they are no part of what lies between."""


class SlowBroker(Broker):
    """A broker whose answers to orders take `slow` seconds."""

    made: ClassVar[list["SlowBroker"]] = []

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.slow = 0.0
        self.made.append(self)

    def answer(self, request: Request) -> Answer:
        if request.method == "GET" or not self.slow:
            return super().answer(request)
        headers = {"Content-Type": "application/json", **self._allowed(request)}
        return Stream(headers=headers, pieces=self._later(request, self.slow))

    async def _later(self, request: Request, seconds: float) -> AsyncIterator[bytes]:
        await asyncio.sleep(seconds)
        found = super().answer(request)
        assert isinstance(found, Response)
        yield found.body


class Way(Struct, kw_only=True):
    """Everything running, and the hands that trade on it."""

    folder: Path
    way: journey.Journey
    broker: SlowBroker
    wire: LongWire
    hands: Sequence[Trader]
    postgres: str

    @property
    def redis(self) -> Redis:
        return self.way.redis

    @property
    def page(self) -> Trader:
        return self.way._trader

    @property
    def codec(self) -> Codec:
        return self.way._codec


@asynccontextmanager
async def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Way]:
    async with AsyncExitStack() as stack, LongWire() as wire:
        lead_through(wire, monkeypatch)
        way = await journey.opened(Stop(), folder, stack)
        broker = SlowBroker.made.pop()
        seat = way._trader._seat
        hands = [Trader(seat) for _ in range(HANDS)]
        for hand in hands:
            stack.push_async_callback(hand.leave)
        port, password = ((folder / "data" / "postgres" / name).read_text().strip() for name in ("port", "password"))
        dsn = f"postgresql://tradecopier:{password}@127.0.0.1:{port}/tradecopier"
        yield Way(folder=folder, way=way, broker=broker, wire=wire, hands=hands, postgres=dsn)


def lead_through(wire: LongWire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the executor reach Redis through the wire, and nobody else."""
    straight = Fleet._as_user

    def _as_user(fleet: Fleet, valkey: Any, service: str) -> Secret:
        url = straight(fleet, valkey, service)
        if service != "executor":
            return url
        wire.behind = valkey.port
        return Secret(url.reveal().replace(f":{valkey.port}/", f":{wire.port}/"))

    monkeypatch.setattr(Fleet, "_as_user", _as_user)


# -- what is done to the trades


async def gather(hands: Sequence[Trader], deeds: Sequence[Callable[[Trader], Awaitable[object]]]) -> None:
    """Each deed by a free hand."""

    async def work(hand: Trader, mine: Sequence[Callable[[Trader], Awaitable[object]]]) -> None:
        for deed in mine:
            await deed(hand)

    await asyncio.gather(*(work(hand, deeds[n :: len(hands)]) for n, hand in enumerate(hands)))


async def trades(way: Way, count: int = ROUND) -> None:
    """Open so many positions or, when the page shows some, close them."""
    if shown := [str(row["id"]) for row in way.page.positions][:count]:
        await gather(way.hands, [partial(_close, position) for position in shown])
    else:
        await gather(way.hands, [_open] * count)


async def _open(hand: Trader) -> None:
    await hand.place("EURUSD", random.choice(("buy", "sell")), "0.01")


async def _close(position: str, hand: Trader) -> None:
    await hand.close(position)


async def plain(way: Way) -> None:
    await trades(way)


async def observe(way: Way) -> None:
    """The broker takes its time."""
    way.broker.slow = HELD_S
    await trades(way)
    way.broker.slow = 0.0


async def publish(way: Way) -> None:
    """Redis takes no writes for a while after the trades were seen."""
    await way.redis.client_pause(8000, all=False)
    await trades(way)
    await asyncio.sleep(HELD_S)
    await way.redis.client_unpause()


async def queue(way: Way) -> None:
    """The executor stands still."""
    with standing(way.folder, "executor run"):
        await trades(way)
        await asyncio.sleep(HELD_S)


async def decide(way: Way) -> None:
    """The fence, which is asked right before the terminal is called, is long on its way."""
    await one_by_one(way, lambda: way.wire.hold(scripts.FENCE, HELD_S))


async def terminal(way: Way) -> None:
    """The terminal takes its time."""
    address = (way.folder / "data" / "terminals" / journey.ACCOUNT / "address").read_text()
    with closing(Remote.at(address)) as remote:
        slow_answer = Fault(kind=FaultKind.LATENCY, execute=True, delay=int(HELD_S * 1000))
        await one_by_one(way, lambda: remote.fault(slow_answer))


async def commit(way: Way) -> None:
    """What was done is long on its way into Redis."""
    await one_by_one(way, lambda: way.wire.hold(scripts.COMMIT, HELD_S, '"result":"filled"'))


async def one_by_one(way: Way, hold_up: Callable[[], object]) -> None:
    """Give a few orders, each held up by itself, so that none waits for another."""
    for _ in range(SLOW_ONES):
        before = await fills(way)
        hold_up()
        await _open(way.hands[0])
        await until(way, partial(_more_fills, before))


async def _more_fills(before: int, way: Way) -> bool:
    return await fills(way) > before


async def archive(way: Way) -> None:
    """PostgreSQL has to wait for somebody else's lock."""
    async with await psycopg.AsyncConnection.connect(way.postgres) as connection:
        await connection.execute("lock table outcomes in access exclusive mode")
        before = trades_in(await facts(way))
        await trades(way)
        await until(way, partial(done, before + ROUND))
        await asyncio.sleep(HELD_S)  # the last one of them has to wait for long enough, too


SITUATIONS: Mapping[str, Callable[[Way], Awaitable[None]]] = {
    "": plain,
    "observe": observe,
    "publish": publish,
    "queue": queue,
    "decide": decide,
    "terminal": terminal,
    "commit": commit,
    "archive": archive,
}
ONE_BY_ONE = ["decide", "terminal", "commit"]
STORY = ["", "", "observe", "observe", "publish", "publish", "queue", "queue", "archive", "archive", *ONE_BY_ONE]
"""Two rounds each: in the first the positions are opened, in the second they are closed; and four slow trades each."""


def standing(folder: Path, words: str) -> "Standing":
    return Standing([pid for pid, line in belonging_to(folder).items() if words in line and "tether" not in line])


class Standing:
    """Processes that are stopped for a while."""

    def __init__(self, pids: list[int]) -> None:
        assert pids
        self._pids = pids

    def __enter__(self) -> None:
        self._signal(signal.SIGSTOP)

    def __exit__(self, *_: object) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, what: signal.Signals) -> None:
        for pid in self._pids:
            os.kill(pid, what)


# -- what is known of them


async def entries(way: Way, stream: str) -> list[tuple[str, dict[bytes, bytes]]]:
    found: Any = await way.redis.xrange(stream)
    return [(entry.decode(), fields) for entry, fields in found]


async def fills(way: Way) -> int:
    return sum(outcome.result == "filled" for _, outcome in (await outcomes(way)).values())


async def outcomes(way: Way) -> dict[str, tuple[str, Outcome]]:
    """The ends by their facts, with the entry that each is in."""
    keys = streams.Keys(scenery.NAMESPACE)
    read = [(entry, way.codec.outcome(fields)) for entry, fields in await entries(way, keys.outcomes)]
    return {message.fact: (entry, message) for entry, message in read if isinstance(message, Outcome)}


async def facts(way: Way) -> list[tuple[str, Fact]]:
    keys = streams.Keys(scenery.NAMESPACE)
    read = [(entry, way.codec.fact(fields)) for entry, fields in await entries(way, keys.orders)]
    return [(entry, fact) for entry, fact in read if isinstance(fact, Fact)]


async def until(way: Way, holds: Callable[[Way], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not await holds(way):
        assert time.monotonic() < deadline, await standing_of(way)
        await asyncio.sleep(0.05)


async def standing_of(way: Way) -> str:
    """How far everything is, for a message."""
    told, ended = await facts(way), await outcomes(way)
    results = Counter((outcome.result, outcome.reason) for _, outcome in ended.values())
    kinds = Counter(fact.evidence for _, fact in told)
    return f"facts {kinds}, ends {len(ended)} {results}, archived {len(archived(way))}"


def trades_in(told: Sequence[tuple[str, Fact]]) -> int:
    """How many trades these facts are of."""
    return sum(fact.evidence == "call" for _, fact in told)


async def done(expected: int, way: Way) -> bool:
    """So many trades are in the stream, and everything there has its end."""
    told, ended = await facts(way), await outcomes(way)
    return trades_in(told) >= expected and all(fact.id in ended for _, fact in told)


async def settled(expected: int, way: Way) -> bool:
    """The same, and every end is archived."""
    return await done(expected, way) and archived(way).keys() == (await outcomes(way)).keys()


def archived(way: Way) -> dict[str, Any]:
    with psycopg.connect(way.postgres) as connection:
        return dict(connection.execute("select fact, archived from outcomes where final").fetchall())


def slow(lengths: Mapping[str, timedelta]) -> set[str]:
    return {stage for stage, length in lengths.items() if length.total_seconds() > SLOW_S}


def measured(entry: str, fact: Fact, end: tuple[str, Outcome], stored: Any) -> dict[str, timedelta]:
    """How long each stage of one fact took."""
    answered, outcome = end
    found = {
        "publish": entry_time(entry) - fact.captured,
        "queue": outcome.read - entry_time(outcome.entry),
        "archive": stored - entry_time(answered),
    }
    if fact.asked is not None:
        found["observe"] = fact.captured - fact.asked
    sent = [step.sent for step in outcome.steps if step.sent]
    back = [step.answered for step in outcome.steps if step.answered]
    found["decide"] = (min(sent) if sent else outcome.committed) - outcome.read
    if sent and back:
        found["terminal"] = max(back) - min(sent)
    found["commit"] = entry_time(answered) - (max(back) if sent and back else outcome.committed)
    return found


def shown(way: Way) -> tuple[Counter[str], Counter[str]]:
    """Of each stage, all that the services' metrics have counted, and what of it was slow."""
    machine = way.way.machine
    every, quick = Counter[str](), Counter[str]()
    for address in (machine.ingest.metrics, machine.executor.metrics, machine.archiver.metrics):
        for name, labels, value in samples(f"http://{address}/metrics"):
            if name == "tradecopier_stage_seconds_count":
                every[labels["stage"]] += int(value)
            if name == "tradecopier_stage_seconds_bucket" and float(labels["le"]) == SLOW_S:
                quick[labels["stage"]] += int(value)
    return every, every - quick


def samples(url: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    with urllib.request.urlopen(url, timeout=10) as reply:  # noqa: S310  the address is our own
        text = reply.read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


async def test_each_delay_of_two_hundred_trades_is_in_its_own_stage_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journey, "Broker", SlowBroker)
    monkeypatch.setattr(journey, "KEEP_FINAL_S", 600.0)
    tmp_path.chmod(0o711)  # noqa: ASYNC240  nothing runs beside it yet
    asked: list[str] = []
    async with opened(tmp_path, monkeypatch) as way:
        for situation in STORY:
            await SITUATIONS[situation](way)
            asked += [situation] * (SLOW_ONES if situation in ONE_BY_ONE else ROUND)
            await way.page.looked_again()
            await until(way, partial(settled, len(asked)))
        told, ended, stored = await facts(way), await outcomes(way), archived(way)
        every, late = await asyncio.to_thread(shown, way)
    wait_until_gone(tmp_path)

    lengths = {fact.id: measured(entry, fact, ended[fact.id], stored[fact.id]) for entry, fact in told}
    traded = [fact for _, fact in told if fact.evidence == "call"]
    assert len(traded) == len(asked) == 212
    for situation in SITUATIONS:
        of_it = [fact for held, fact in zip(asked, traded, strict=True) if held == situation]
        inside = {"end_to_end"} if situation not in {"", *OUTSIDE} else set()
        assert held_up([slow(lengths[f.id]) | _whole(f, ended) for f in of_it]) == {situation} - {""} | inside

    counted = Counter(stage for each in lengths.values() for stage in each)
    assert {stage: every[stage] for stage in STAGES} == {stage: counted[stage] for stage in STAGES}
    of_late = Counter(stage for each in lengths.values() for stage in slow(each))
    of_late["end_to_end"] = sum(_long(fact, ended) for _, fact in told)
    over = {stage: late[stage] - of_late[stage] for stage in (*STAGES, "end_to_end")}
    assert all(0 <= more <= (STALLS if stage in HEARD else 0) for stage, more in over.items()), (late, of_late)


def held_up(each: Sequence[set[str]]) -> set[str]:
    """The stages in which all of these trades were slow. AssertionError for one in which only many were.

    A machine with too much to do may hold up a trade anywhere, but no delay of ours spares half of its trades.
    """
    often = {stage for stages in each for stage in stages if 2 * sum(stage in other for other in each) > len(each)}
    assert all(often <= stages for stages in each), each
    return often


def _whole(fact: Fact, ended: Mapping[str, tuple[str, Outcome]]) -> set[str]:
    return {"end_to_end"} if _long(fact, ended) else set()


def _long(fact: Fact, ended: Mapping[str, tuple[str, Outcome]]) -> bool:
    """Whether much time went by from the capture until the end was in the stream."""
    return (entry_time(ended[fact.id][0]) - fact.captured).total_seconds() > SLOW_S
