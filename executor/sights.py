"""Reads what the sources of an account show, and how far the account has followed them.

The picture is read first and the last published sequence after it: when that is the one that the account has passed,
it has followed everything that the picture shows. A source whose picture names no writer has never been seen.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import cast

from redis.asyncio import Redis

from executor.mirror import is_resting
from executor.present import link_of
from executor.sight import Sight
from shared import vitals
from shared.facts import OrderEnded, OrderFact
from shared.pictures import WRITER, SourcePicture, source_picture
from shared.streams import Keys
from shared.wire import Codec

LOOKED = timedelta(seconds=30)
"""A source that was not looked at for so long may have changed: nothing is opened by what it showed then."""

UNKNOWN = -1
LONGEST = 20
"""More digits than any sequence has. What else stands there is none: who may publish may write it."""
BLANK = SourcePicture("", ())


class Sights:
    """The sources of one account. Raises redis errors."""

    def __init__(self, redis: Redis, keys: Keys, codec: Codec, sources: Sequence[str]) -> None:
        self._redis = redis
        self._keys = keys
        self._codec = codec
        self._sources = tuple(sources)

    async def look(self, passed: Mapping[str, int]) -> Sight:
        """What they show; `passed` are the sequences that the account has followed, by producer."""
        pictures = [await source_picture(self._redis, self._keys, self._codec, name) for name in self._sources]
        known = dict(zip(self._sources, pictures, strict=True))
        last = await self._last([picture.writer for picture in pictures])
        judged = {name for name, p in known.items() if passed.get(p.writer) == last.get(p.writer, UNKNOWN)}
        return Sight(
            positions={link_of(fact): fact for picture in pictures for fact in picture.positions},
            orders={(link_of(o), o.order.id): o for picture in pictures for o in _orders(picture)},
            followed=frozenset(self._sources),
            judged=frozenset(judged),
            readable=frozenset(name for name, picture in known.items() if picture.writer and not picture.refused),
            blank=frozenset(name for name, picture in known.items() if picture == BLANK),
        )

    async def is_behind(self, passed: Mapping[str, int]) -> bool:
        """Whether facts are on their way; asked without reading the pictures, which can be long."""
        stored = [await self._redis.hget(self._keys.source("picture", name), WRITER) for name in self._sources]
        writers = [cast(bytes, writer).decode("utf-8", "replace") for writer in stored if writer]
        last = await self._last(writers)
        return any(last.get(writer) != passed.get(writer) for writer in writers)

    async def is_fresh(self, source: str, now: datetime) -> bool:
        """Whether somebody has looked at a source just now, so that what it shows is what is there."""
        told = await vitals.source(self._redis, self._keys, source)
        return told is not None and told.polled is not None and now - told.polled <= LOOKED

    async def _last(self, producers: Sequence[str]) -> dict[str, int]:
        if not producers:
            return {}
        stored = cast(list[bytes | None], await self._redis.hmget(self._keys.producers, list(producers)))
        found = ((name, (value or b"").split(b" ")[0]) for name, value in zip(producers, stored, strict=True))
        return {name: int(seq) for name, seq in found if seq.isdigit() and len(seq) <= LONGEST}


def _orders(picture: SourcePicture) -> list[OrderFact]:
    """The newest fact of each order that rests, the newest last."""
    facts = (f for f in picture.facts if isinstance(f, OrderFact) and is_resting(f.order))
    living = (f for f in facts if not isinstance(f, OrderEnded) and f.order.filled < f.order.quantity)
    return sorted(living, key=lambda f: (f.exposure.revision, f.captured))
