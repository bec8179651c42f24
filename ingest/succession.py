"""Who comes after: a source that another ingest has written to since is taken over with what it left in Redis.

Whoever takes the lease anew compares the source's last writer with its own producer. The same: it goes on where it
was. Another: it begins a new producer, whose first facts state again what it takes over; what it had not published
itself is overtaken and never will be, and its picture is the one in Redis, so that the next polls show the difference.
The same happens when our outbox turns out to have lost its tail, but for facts about positions of which Redis knows
nothing: those still go out.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from msgspec import Raw
from redis.asyncio import Redis

from ingest import inheritance
from ingest.calls import Instrument
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.state import Picture
from shared.facts import Fact
from shared.pictures import SourcePicture, source_picture
from shared.streams import Keys
from shared.wire import Codec

log = logging.getLogger(__name__)

KEPT_S = 3600
"""Facts of the stream that are as old as this are read for what has ended; a failover loses far less."""
PAGE = 500

Pictures = Mapping[str, Picture]
Adopt = Callable[[str, Sequence[Fact], Pictures], Mapping[str, Raw]]
"""Puts facts over memories (by source account) in place of a source's pictures, and gives them as they are kept."""

_ENCODER = msgspec.json.Encoder()
_PICTURE = msgspec.json.Decoder(Picture)
_INSTRUMENTS = msgspec.json.Decoder(dict[str, Instrument])
_UNITS = "/instruments"

# KEYS: source lease, source memory.  ARGV: token, then field, content …
_REMEMBER = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[2], unpack(ARGV, 2))
return 1
"""


class Succession:
    """For all sources of one ingest."""

    def __init__(
        self, redis: Redis, keys: Keys, codec: Codec, outbox: Outbox, metrics: Metrics, adopt: Adopt
    ) -> None:  # fmt: skip
        self._redis = redis
        self._keys = keys
        self._codec = codec
        self._outbox = outbox
        self._metrics = metrics
        self._adopt = adopt
        self._remember = redis.register_script(_REMEMBER)
        self._remembered: dict[tuple[str, str], object] = {}

    async def settle(self, source: str) -> None:
        """The source's lease was just taken anew: take over what is there. Raises redis errors, then try again."""
        known, line = await self._known(source), self._outbox.producers[source].line
        if known.writer not in ("", line.producer, *line.after):
            is_first = self._outbox.is_new and not line.seq and not line.after
            await self._take_over(source, known, "no-outbox" if is_first else "taken-over")

    async def torn(self, source: str, reason: str) -> None:
        """Redis knows more of our producer than our outbox, which has lost its tail. Raises redis errors."""
        await self._take_over(source, await self._known(source), reason)

    async def remember(self, source: str, pictures: Sequence[Picture]) -> None:
        """Keep in Redis what a successor needs to know of these pictures, as far as it is new. Raises redis errors."""
        news: dict[tuple[str, str], tuple[object, bytes]] = {}
        for picture in pictures:
            kept = _ENCODER.encode(inheritance.memory(picture))
            units = (source, f"{picture.account}{_UNITS}")
            if self._remembered.get((source, picture.account)) != kept:
                news[source, picture.account] = kept, kept
            if self._remembered.get(units) is not picture.instruments:
                news[units] = picture.instruments, _ENCODER.encode(picture.instruments)
        if news and await self._write(source, {name: content for (_, name), (_, content) in news.items()}):
            self._remembered |= {name: seen for name, (seen, _) in news.items()}

    async def _write(self, source: str, fields: Mapping[str, bytes]) -> bool:
        sealed = {name: self._codec.seal(_scope(source, name), content) for name, content in fields.items()}
        arguments = [part for pair in sealed.items() for part in pair]
        names = [self._keys.source("lease", source), self._keys.source("memory", source)]
        token = self._outbox.producers[source].line.owner
        return bool(await self._remember(keys=names, args=[token, *arguments]))

    async def _known(self, source: str) -> SourcePicture:
        found = await source_picture(self._redis, self._keys, self._codec, source)
        if found.refused:
            log.error("the picture of %s in Redis has entries that nobody of ours signed: %s", source, found.refused)
        return found

    async def _take_over(self, source: str, known: SourcePicture, reason: str) -> None:
        recent, memories = await self._recent(source), await self._memories(source)
        told = inheritance.in_order(known.facts, recent)
        # From here on nothing waits: a fact that was captured meanwhile is in the outbox and is judged with the others.
        lost = reason in ("ahead", "conflict")
        waiting = self._outbox.producers[source].waiting
        positions = {(fact.account, fact.exposure.position) for fact in told}
        still = [f for f in waiting if lost and (f.account, f.exposure.position) not in positions]
        overtaken = [fact for fact in waiting if fact not in still]
        pictures = self._adopt(source, [*told, *still], memories)
        self._outbox.take_over(source, known.writer, [*inheritance.restated(told), *still], pictures, overtaken)
        self._say(source, known.writer, reason, overtaken)

    def _say(self, source: str, writer: str, reason: str, overtaken: Sequence[Fact]) -> None:
        self._metrics.renewed(source, reason)
        self._metrics.overtook(source, len(overtaken))
        producer = self._outbox.producers[source].id
        before = writer or "nobody"
        log.error("source %s goes on as %s from what %s has left: %s", source, producer, before, WHY[reason])
        if overtaken:
            names = [fact.id for fact in overtaken]
            log.error("%d facts of %s are overtaken, they are not published: %s", len(names), source, names)

    async def _recent(self, source: str) -> list[Fact]:
        """The source's facts in the stream that are young enough to be lost by a failover, oldest first."""
        seconds, _ = await self._redis.time()
        start, found = f"{(seconds - KEPT_S) * 1000}", []
        while True:
            page = cast(list[Any], await self._redis.xrange(self._keys.orders, start, "+", count=PAGE))
            facts = [self._codec.fact(fields) for _, fields in page if fields]
            found += [fact for fact in facts if isinstance(fact, Fact) and fact.source == source]
            if len(page) < PAGE:
                return found
            start = f"({page[-1][0].decode()}"

    async def _memories(self, source: str) -> dict[str, Picture]:
        stored = cast(dict[bytes, bytes], await self._redis.hgetall(self._keys.source("memory", source)))
        known = {name.decode(): self._codec.opened(_scope(source, name.decode()), stored[name]) for name in stored}
        found = {}
        for account in (name for name in known if not name.endswith(_UNITS)):
            try:
                units = _INSTRUMENTS.decode(known.get(f"{account}{_UNITS}") or b"{}")
                found[account] = msgspec.structs.replace(_PICTURE.decode(known[account] or b""), instruments=units)
            except (msgspec.DecodeError, ValueError) as error:
                log.error("what was remembered of %s/%s cannot be read: %s", source, account, error)
        return found


def _scope(source: str, name: str) -> str:
    return f"memory:{source}/{name}"


WHY = {
    "taken-over": "another ingest has written since",
    "no-outbox": "the outbox here is new. Unless this is a new stand-by, an outbox was lost with what waited in it",
    "ahead": "the stream has later facts of ours than the outbox, which has lost its tail",
    "conflict": "the stream has another fact under our sequence, the outbox has lost its tail",
}
