"""Reads both streams as they grow, beside all groups, so that the demo can tell what becomes of a deed."""

import asyncio
import logging
import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.facts import Fact
from shared.outcomes import Outcome
from shared.streams import Keys
from shared.wire import Codec

log = logging.getLogger(__name__)

BLOCK_MS = 1000
T = TypeVar("T")


class Follower:
    """The facts and final outcomes that came since `begin`. Uses up its connection: give it one of its own."""

    def __init__(self, redis: Redis, keys: Keys, codec: Codec) -> None:
        self._redis = redis
        self._codec = codec
        self._orders, self._outcomes = keys.orders.encode(), keys.outcomes.encode()
        self._places: dict[bytes, bytes] = {}
        self._news = asyncio.Condition()
        self.facts: list[Fact] = []
        self.outcomes: dict[tuple[str, str], Outcome] = {}
        """Final outcomes by (fact id, account)."""
        self.unreadable = 0

    @property
    def calls(self) -> list[Fact]:
        """The facts that a call of the trader brought about, in order; the others were learned from polls."""
        return [fact for fact in self.facts if fact.evidence == "call"]

    async def begin(self) -> None:
        """Note where the streams end now."""
        for stream in (self._orders, self._outcomes):
            last = cast(list[Any], await self._redis.xrevrange(stream, count=1))
            self._places[stream] = last[0][0] if last else b"0-0"

    async def follow(self) -> None:
        """Read until cancelled."""
        while True:
            try:
                reply = cast(list[Any], await self._redis.xread(cast(Any, self._places), block=BLOCK_MS))
            except RedisError as error:
                log.warning("cannot read the streams: %s", error)
                await asyncio.sleep(0.5)
                continue
            async with self._news:
                for stream, entries in reply or []:
                    for entry, fields in entries:
                        self._places[stream] = entry
                        self._take(stream, fields)
                self._news.notify_all()

    async def call(self, number: int, patience: float) -> Fact:
        """The fact of the trader's call with this number, from 1. Raises TimeoutError after `patience` seconds."""
        return await self._until(lambda: self.calls[number - 1] if len(self.calls) >= number else None, patience)

    async def outcome(self, fact: Fact, account: str, patience: float) -> Outcome:
        """What became of a fact on an account. Raises TimeoutError."""
        return await self._until(lambda: self.outcomes.get((fact.id, account)), patience)

    async def _until(self, known: Callable[[], T | None], patience: float) -> T:
        async with asyncio.timeout(patience if math.isfinite(patience) else None), self._news:
            while (found := known()) is None:
                await self._news.wait()
            return found

    def _take(self, stream: bytes, fields: dict[bytes, bytes]) -> None:
        message = self._codec.fact(fields) if stream == self._orders else self._codec.outcome(fields)
        if isinstance(message, Fact):
            self.facts.append(message)
        elif isinstance(message, Outcome):
            self.outcomes[message.fact, message.account] = message
        elif not hasattr(message, "account"):
            self.unreadable += 1
            log.error("an entry of %s cannot be read: %r", stream.decode(), message)
