"""An answer that never ends: rows as lines of JSON, first all of them, then what changed, and a sign of life between.

Newer brokers' servers push in this way instead of being polled. What the lines hold exactly is not public; these have
what the protocol's description names: a snapshot, updates, pings.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from deploy.demo import rows

CONTENT_TYPE = "application/x-ndjson"
LOOK_S = 0.05
PING_EVERY = 20
"""Looks without a change after which a ping is sent."""


async def lines(look: Callable[[], Sequence[Any]]) -> AsyncIterator[bytes]:
    """Lines about the rows that `look` gives; each row has an `id`. Never ends."""
    known: dict[str, bytes] = {}
    quiet, kind = 0, "snapshot"
    while True:
        # A row is compared as it was sent: the broker changes its records in place.
        seen = {row.id: rows.encode(row) for row in look()}
        changed = [line for name, line in seen.items() if known.get(name) != line]
        gone = [name for name in known if name not in seen]
        if kind == "snapshot" or changed or gone:
            yield _line(kind, changed, gone)
            quiet = 0
        elif (quiet := quiet + 1) % PING_EVERY == 0:
            yield b'{"type":"ping"}\n'
        known, kind = seen, "update"
        await asyncio.sleep(LOOK_S)


def _line(kind: str, changed: Sequence[bytes], gone: Sequence[str]) -> bytes:
    removed = b',"removed":' + rows.encode(gone) if gone else b""
    return b'{"type":"%s","d":[%s]%s}\n' % (kind.encode(), b",".join(changed), removed)
