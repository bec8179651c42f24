"""Lets an account join anew although the archive remembers it: what it held and what waited is over for it, for good.

The archive is told so first, as when an account is taken out, and how far everything had been published by then: so no
later `restore` brings any of it back.
"""

import asyncio
from datetime import datetime
from typing import Any, cast

from redis.asyncio import Redis

from archiver.originals import Archive
from shared import groups
from shared.outcomes import Kept, Memory
from shared.streams import Keys
from shared.wire import Codec


async def forget(redis: Redis, keys: Keys, codec: Codec, archive: Archive, account: str, now: datetime) -> None:
    """Tell that an account has left and takes nothing with it. Raises Away and redis errors."""
    passed = await asyncio.to_thread(archive.lasts)
    for producer, seq in (await groups.end(redis, keys)).seqs.items():
        passed[producer] = max(seq, passed.get(producer, 0))
    kept = Kept(account=account, seen=now, memory=Memory(passed=passed), whole=True, removed=True)
    await redis.xadd(keys.outcomes, cast(Any, codec.entry("outcomes", kept)))
