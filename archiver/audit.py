"""`archiver verify`: reads the whole archive, or a period of it, and says what is not as it was signed."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, cast

from msgspec import Struct

from archiver import verify
from archiver.reading import streamed
from archiver.verify import Finding, Step
from shared import streams
from shared.wire import Codec, Keyring

GROUP = "archiver"


class Audit(Struct, frozen=True, kw_only=True):
    """What is to be verified. Signatures are checked from `since` to before `until`, numbers always as a whole."""

    dsn: str
    namespace: str
    keyring: Keyring
    since: datetime | None = None
    until: datetime | None = None


def findings(audit: Audit, seen: Callable[[int], None]) -> Iterator[Finding]:
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


def behind(audit: Audit, published: Mapping[str, int]) -> Iterator[Finding]:
    """What was published and is not there, given each producer's last number. Raises Away."""
    archived: dict[str, int] = dict(streamed(audit.dsn, verify.LASTS, _asked(audit)))  # type: ignore[arg-type]
    yield from verify.unseen(archived, published)


async def published(url: str, namespace: str) -> dict[str, int] | None:
    """Each producer's last number by Redis; None while the archive has not read everything. Raises redis errors."""
    redis, keys = streams.connect(url), streams.Keys(namespace)
    try:
        # First what was published, then whether it was read: what comes in between only makes the answer None.
        lasts = cast(dict[bytes, bytes], await redis.hgetall(keys.producers))
        if lasts:
            group = next((g for g in await redis.xinfo_groups(keys.orders) if g["name"] == GROUP.encode()), None)
            if group is None or group["lag"] != 0 or group["pending"]:
                return None
        return {producer.decode(): int(last.split()[0]) for producer, last in lasts.items()}
    finally:
        await redis.aclose()


def _asked(audit: Audit) -> dict[str, Any]:
    return {"namespace": audit.namespace, "since": audit.since, "until": audit.until}
