"""Where each group of a stream stands, and what it may still want of it."""

from collections.abc import Mapping
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from archiver.strangers import Strangers, no_group, text
from shared.wire import entry_order

_LAST = 2**64 - 1


class Standing(Struct, frozen=True, kw_only=True):
    """Where a group stands: what was delivered to it last, and the lowest entry that it has not acknowledged."""

    group: str
    delivered: str
    pending: str | None = None

    @property
    def needs(self) -> tuple[int, int]:
        """The lowest entry that the group may still want."""
        milliseconds, number = entry_order(self.delivered)
        undelivered = (milliseconds, number + 1) if number < _LAST else (min(milliseconds + 1, _LAST), 0)
        return min(undelivered, entry_order(self.pending)) if self.pending else undelivered


async def standings(redis: Redis, stream: str, strangers: Strangers) -> list[Standing]:
    """Every group of a stream that can be somebody's: names of accounts are text. Raises redis errors."""
    if not await redis.exists(stream):
        return []
    # Deliveries first, pending second: what is delivered in between can then only look older than it is.
    known = cast(list[Mapping[str, Any]], await redis.xinfo_groups(stream))
    found = []
    for group in known:
        name = text(group["name"])
        if name is None:
            strangers.pass_by(group["name"], f"is a group of {stream} whose name is no text: it holds nothing up")
        elif (standing := await _standing(redis, stream, name, group)) is not None:
            found.append(standing)
    return found


async def _standing(redis: Redis, stream: str, name: str, group: Mapping[str, Any]) -> Standing | None:
    try:
        summary: dict[str, Any] = await redis.xpending(stream, name)
    except ResponseError as error:
        if not no_group(error):
            raise
        return None
    pending = summary["min"]
    delivered = group["last-delivered-id"].decode()
    return Standing(group=name, delivered=delivered, pending=pending.decode() if pending else None)
