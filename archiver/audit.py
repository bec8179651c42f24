"""`archiver verify`: reads the whole archive, or a period of it, and says what is not as it was signed."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

from msgspec import Struct
from redis.asyncio import Redis

from archiver import verify
from archiver.reading import streamed
from archiver.strangers import shown, text
from archiver.verify import Finding, Step
from shared import streams
from shared.wire import Codec, Keyring

GROUP = "archiver"
LAST = re.compile(rb"([0-9]{1,18}) ")
"""How a producer's last number stands in Redis."""


class Audit(Struct, frozen=True, kw_only=True):
    """What is to be verified. Signatures are checked from `since` to before `until`, numbers always as a whole."""

    dsn: str
    namespace: str
    keyring: Keyring
    since: datetime | None = None
    until: datetime | None = None


class Published(Struct, frozen=True, kw_only=True):
    """What Redis says: each producer's last number, and the accounts that have finished all from before `as_of`.

    `strange` are producers of which it says no number.
    """

    lasts: Mapping[str, int]
    strange: tuple[str, ...] = ()
    done: tuple[str, ...] = ()
    as_of: datetime = datetime.min.replace(tzinfo=UTC)


NOTHING = Published(lasts={})
"""What is known without Redis."""


def findings(audit: Audit, seen: Callable[[int], None], known: Published = NOTHING) -> Iterator[Finding]:
    """Everything that is wrong; `seen` hears how many rows were checked so far. Raises Away."""
    codec, count = Codec(audit.namespace, audit.keyring), 0
    for kind in verify.KINDS:
        query = verify.query(kind, since=audit.since is not None, until=audit.until is not None)
        for values in streamed(audit.dsn, query, _asked(audit)):
            count += 1
            seen(count)
            if (found := verify.checked(codec, kind, values)) is not None:
                yield found
    steps = streamed(audit.dsn, verify.STEPS, _asked(audit))
    yield from verify.missing(Step(producer=p, seq=s, previous=before, id=i) for p, s, before, i in steps)
    asked = {**_asked(audit), "done": list(known.done), "as_of": known.as_of}
    yield from verify.silent((account, fact) for account, fact in streamed(audit.dsn, verify.SILENT, asked))
    yield from verify.untold((a, fact, deal) for a, fact, deal in streamed(audit.dsn, verify.UNTOLD, asked))
    archived: dict[str, int] = dict(streamed(audit.dsn, verify.LASTS, asked))  # type: ignore[arg-type]
    yield from verify.unseen(archived, known.lasts)
    yield from verify.uncounted(known.strange)


async def published(url: str, namespace: str) -> Published | None:
    """What Redis says; None while the archive has not read everything. Raises redis errors."""
    redis, keys = streams.connect(url), streams.Keys(namespace)
    try:
        seconds, microseconds = await redis.time()
        # First what was published and done, then whether it was read: what comes in between only makes the answer None.
        lasts = cast(dict[bytes, bytes], await redis.hgetall(keys.producers))
        groups = await _groups(redis, keys.orders)
        done = tuple(sorted(name for name, idle in groups.items() if idle and name != GROUP))
        if lasts and not groups.get(GROUP):
            return None
        if done and not (await _groups(redis, keys.outcomes)).get(GROUP):
            done = ()
        as_of = datetime.fromtimestamp(seconds + microseconds / 1e6, UTC)
        numbers = {name: _number(name, last) for name, last in lasts.items()}
        known = {name.decode(): number for name, number in numbers.items() if number is not None}
        strange = tuple(sorted(shown(name) for name, number in numbers.items() if number is None))
        return Published(lasts=known, strange=strange, done=done, as_of=as_of)
    finally:
        await redis.aclose()


async def _groups(redis: Redis, stream: str) -> dict[str, bool]:
    """The groups of a stream that may not be there, and whether each has read and acknowledged all of it."""
    if not await redis.exists(stream):
        return {}
    told = await redis.xinfo_groups(stream)
    return {name: g["lag"] == 0 and not g["pending"] for g in told if (name := text(g["name"])) is not None}


def _number(producer: bytes, last: bytes) -> int | None:
    """A producer's last number; None when nobody of ours can have written it."""
    found = LAST.match(last)
    return int(found[1]) if found and text(producer) is not None else None


def _asked(audit: Audit) -> dict[str, Any]:
    return {"namespace": audit.namespace, "since": audit.since, "until": audit.until}
