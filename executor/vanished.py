"""Which facts have left the stream that an account was given and has not passed.

Nobody of ours has that happen: what is not passed is pending, and what is pending is not trimmed. So the account's
memory is an earlier one that somebody has put back, or the stream was emptied. What is left of a producer's facts shows
by its numbers what is missing before it; where nothing is left, the last number that it has published says so.
"""

import re
from typing import cast

from redis.asyncio import Redis

from executor.holding import Gap
from shared.streams import Keys
from shared.wire import Place, entry_order

LAST = re.compile(rb"([0-9]{1,15}) ([0-9]{1,20}-[0-9]{1,20}) ")
"""What is kept of a producer: its last number, and the entry that bears it."""


async def vanished(redis: Redis, keys: Keys, place: Place, delivered: str) -> list[Gap]:
    """The facts beyond `place` that are not in the stream any more, of a group that was given all up to `delivered`.

    Of producers of whom the account knew nothing at its place, there is no saying. Raises redis errors.
    """
    names, first = list(place.seqs), entry_order(place.entry)
    if not names or entry_order(delivered) <= first:
        return []
    stored = cast(list[bytes | None], await redis.hmget(keys.producers, names))
    found = [(name, m) for name, value in zip(names, stored, strict=True) if (m := LAST.match(value or b""))]
    beyond = [(name, int(m[1]), m[2].decode()) for name, m in found if int(m[1]) > place.seqs[name]]
    given = [row for row in beyond if first < entry_order(row[2]) <= entry_order(delivered)]
    return [(n, place.seqs[n] + 1, last) for n, last, e in given if not await redis.xrange(keys.orders, e, e)]
