"""A source in place of ingest's proxy: scripted trades through the real outbox, owner and courier.

`python -m deploy.chaos.source` reads statements from the standard input, a JSON line each, and says `accepted N` when
one is in its journal. Told again after a crash, one that the journal has is not stated again, as the next poll of a
source would show it and find it known.
"""

import argparse
import asyncio
import os
import secrets
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw

from deploy.chaos.faults import SOURCE_POINTS
from deploy.chaos.story import PRICES, Statement
from ingest.exchange import Exchange
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.ownership import Ownership
from ingest.publishing import Courier
from ingest.state import Picture
from ingest.succession import Succession
from shared import facts, process, settings, streams
from shared.facts import Amount, Contract, Exposure, Fact, Levels, Order, Quote
from shared.lease import Lease
from shared.metrics import new_registry
from shared.points import Reach, parse, signalling
from shared.streams import Keys, Publication, Publisher
from shared.wire import Codec

SOURCE, ACCOUNT = "chaos", "1"
LEASE_S = 10.0
TOLD = "told"

KINDS: Mapping[str, Any] = {str(kind.__struct_config__.tag): kind for kind in facts.Fact.__args__}


class Reaching:
    """The publisher, with a named point after each fact that is in the stream."""

    def __init__(self, publisher: Publisher, reach: Reach) -> None:
        self._publisher = publisher
        self._reach = reach

    async def publish(self, fact: Fact, owner: str) -> Publication:
        """Publish, and reach the point."""
        answer = await self._publisher.publish(fact, owner)
        self._reach("published")
        return answer

    async def last(self, producer: str) -> int:
        """As the publisher says."""
        return await self._publisher.last(producer)


class Source:
    """One scripted source."""

    def __init__(
        self,
        redis_url: str,
        namespace: str,
        folder: Path,
        codec: Codec,
        reach: Reach,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._reach = reach
        self._clock = clock
        self._redis, keys = streams.connect(redis_url), Keys(namespace)
        self._outbox = Outbox(folder, [SOURCE], fresh=lambda name: f"{name}-{secrets.token_hex(4)}")
        kept = self._outbox.pictures.get(ACCOUNT)
        self._told: int = msgspec.json.decode(kept)[TOLD] if kept is not None else 0
        self._outbox.remember = self._picture
        metrics = Metrics(new_registry("ingest"))
        heir = Succession(self._redis, keys, codec, self._outbox, metrics, self._adopt)
        lease = Lease(self._redis, keys.source("lease", SOURCE), duration=LEASE_S, owner="ingest-chaos")
        self.owner = Ownership(SOURCE, lease, self._outbox, lambda: None, heir.settle)
        door = Reaching(Publisher(self._redis, keys, codec), reach)
        self.courier = Courier(self.owner, self._outbox, door, heir, metrics)

    def settle(self) -> None:
        """What was asked before a crash is answered by what the trader tells next."""
        for flow in list(self._outbox.asked):
            self._outbox.answer(SOURCE, flow=flow)

    def take(self, statement: Statement) -> None:
        """Journal a trade as ingest does: before it is forwarded, and when its reply has come."""
        if statement.number <= self._told:
            return
        flow, now = f"flow-{statement.number}", self._clock()
        self._outbox.ask(SOURCE, _exchange(flow, now))
        self._reach("asked")
        producer = self._outbox.producers[SOURCE]
        self._told = statement.number
        fact = stated(statement, producer.id, producer.next_seq, now)
        self._outbox.answer(SOURCE, flow=flow, facts=(fact,), pictures=self._picture())
        self._reach("answered")

    def close(self) -> None:
        """Sync the journal."""
        self._outbox.close()

    def _picture(self) -> Mapping[str, Raw]:
        return {ACCOUNT: Raw(msgspec.json.encode({TOLD: self._told}))}

    def _adopt(self, _source: str, _facts: Sequence[Fact], _pictures: Mapping[str, Picture]) -> Mapping[str, Raw]:
        return self._picture()


def stated(statement: Statement, producer: str, seq: int, now: datetime) -> Fact:
    """The fact of a statement."""
    before, after = statement.before, statement.after
    more: dict[str, Any] = {}
    if statement.order is not None:
        order = statement.order
        more["order"] = Order(
            id=order.id,
            type="market" if order.price is None else "limit",
            side="buy" if order.buy else "sell",
            quantity=order.quantity,
            filled=order.filled,
            limit_price=order.price,
        )
    if statement.kind == "order.ended":
        more["reason"] = "canceled"
    if statement.stop is not None:
        more["levels"] = Levels(stop_loss=statement.stop)
    fact: Fact = KINDS[statement.kind](
        id=f"{SOURCE}/{ACCOUNT}/position:{statement.position}/{statement.revision}",
        source=SOURCE,
        account=ACCOUNT,
        instrument=statement.instrument,
        model="hedging",
        producer=producer,
        seq=seq,
        captured=now,
        evidence="poll" if statement.again else "call",
        quote=_quote(statement.instrument),
        contract=Contract(unit="lots"),
        exposure=Exposure(
            position=statement.position,
            revision=statement.revision,
            before=Amount(held=before.held, coming=before.coming),
            after=Amount(held=after.held, coming=after.coming),
        ),
        **more,
    )
    return fact


def _quote(instrument: str) -> Quote:
    bid, ask = PRICES[instrument]
    return Quote(bid=bid, ask=ask)


def _exchange(flow: str, now: datetime) -> Exchange:
    return Exchange(flow=flow, method="POST", scheme="https", host="broker", port=443, path="/orders", asked=now)


async def _listen(source: Source) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    source.settle()
    while line := await reader.readline():
        statement = msgspec.json.decode(line, type=Statement)
        source.take(statement)
        print(f"accepted {statement.number}", flush=True)


async def _serve(stop: process.Stop, source: Source) -> None:
    stop.supervise(source.owner.keep(), "lease")
    stop.supervise(source.courier.run(), "publish")
    stop.supervise(_listen(source), "statements")
    await stop.wait()
    await stop.end_tasks()
    source.close()


def _pass(_point: str) -> None:
    """In service nothing happens at a point."""


def main() -> None:
    """Run until stopped."""
    parser = argparse.ArgumentParser(prog="deploy.chaos.source")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--die-at", default="")
    given = parser.parse_args()
    document = settings.read(given.config, os.environ)
    redis = settings.section(document, "redis", settings.Redis)
    keyring = settings.keyring(settings.section(document, "security", settings.Security))
    assert redis.url is not None, "the pipeline sets it"
    codec = Codec(redis.namespace, keyring)
    reach = signalling(*parse(given.die_at, SOURCE_POINTS), signal.SIGKILL) if given.die_at else _pass
    source = Source(redis.url.reveal(), redis.namespace, given.folder, codec, reach)
    process.run(partial(_serve, source=source), "ingest")


if __name__ == "__main__":
    main()
