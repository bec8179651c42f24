"""Asks the lane of an account for something and waits for what comes of it, as the outcomes stream tells it."""

from collections.abc import AsyncIterator, Callable, Collection
from datetime import datetime
from time import monotonic
from typing import Any, cast

from redis.asyncio import Redis

from executor.asked import Answer, Replay, Request, Resolve
from executor.reasons import Obstacle
from executor.replay import Candidate
from shared.outcomes import Notice, Outcome, Pending
from shared.streams import Keys
from shared.wire import Codec

BLOCK_MS = 500
PATIENCE_S = 20.0
"""How long the end of what was asked is waited for; it comes by itself afterwards, too."""

ANSWERS: dict[Answer, str] = {
    "asked": "handed over",
    "there": "somebody has asked for it already, and it is under way",
    "idle": "nobody works for the account: start `tradecopier up` or `tradecopier executor run`, then ask again",
    "ended": "that attempt has ended already",
    "effect": "its last attempt had an effect, or needs none",
}


def asking(candidate: Candidate, now: datetime) -> Replay:
    """The request for the next attempt at a fact."""
    m, k, s = (candidate.original.fields[name].decode() for name in (b"m", b"k", b"s"))
    fact, entry = candidate.fact.id, candidate.original.entry
    return Replay(fact=fact, entry=entry, attempt=candidate.attempt, asked=now, m=m, k=k, s=s)


async def newest(redis: Redis, keys: Keys) -> str:
    """Where the outcomes stream ends now."""
    last = cast(list[Any], await redis.xrevrange(keys.outcomes, count=1))
    return last[0][0].decode() if last else "0-0"


async def told(
    redis: Redis, keys: Keys, codec: Codec, after: str, patience_s: float = PATIENCE_S
) -> AsyncIterator[Outcome | Pending | Notice]:
    """What the outcomes stream tells after an entry, for so long."""
    end = monotonic() + patience_s
    while monotonic() < end:
        reply = cast(list[Any], await redis.xread({keys.outcomes: after}, block=BLOCK_MS) or [])
        for entry, fields in (each for _, entries in reply for each in entries):
            after, message = entry.decode(), codec.outcome(fields)
            if isinstance(message, Outcome | Pending | Notice):
                yield message


async def answers(
    redis: Redis,
    keys: Keys,
    codec: Codec,
    account: str,
    asked: Collection[Request],
    after: str,
    show: Callable[[str], None],
    patience_s: float = PATIENCE_S,
) -> int:
    """Show what comes of requests as it comes; returns how many are still under way when nobody waits any longer."""
    left = {request.field: request for request in asked}
    said: set[str] = set()
    async for message in told(redis, keys, codec, after, patience_s):
        for field, request in list(left.items()):
            line = _about(message, request, account)
            if line is not None and line not in said:
                said.add(line)
                show(line)
            if line is not None and not isinstance(message, Pending):
                del left[field]
        if not left:
            break
    return len(left)


def _about(message: Outcome | Pending | Notice, request: Request, account: str) -> str | None:
    """What a message says about a request; None when it is about something else."""
    if message.account != account:
        return None
    if isinstance(request, Replay):
        return _about_replay(message, request)
    name = request.name if isinstance(request, Resolve) else request.field
    if isinstance(message, Notice):
        return message.text if name in message.text else None
    by_hand = isinstance(message, Outcome) and message.reason == Obstacle.BY_HAND
    return _became(message) if by_hand and name in (message.fact, message.entry) else None


def _about_replay(message: Outcome | Pending | Notice, request: Replay) -> str | None:
    if isinstance(message, Notice):
        return message.text if request.field in message.text else None
    same = (message.fact, message.attempt) == (request.fact, request.attempt)
    return _became(message) if same else None


def _became(message: Outcome | Pending) -> str:
    became = message.result if isinstance(message, Outcome) else message.state
    return f"{message.fact}: {became}{f' ({message.text})' if message.text else ''}"
