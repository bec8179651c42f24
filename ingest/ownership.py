"""One ingest owns a source: it alone decrypts the host and publishes its facts; every other lets the traffic pass
unopened.

The lease in Redis says who. While Redis is away nobody can take it over, so the last owner goes on and journals. The
token is kept in the outbox, so that a restarted ingest is the owner at once and not only when its old lease has run
out.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from redis.exceptions import RedisError

from ingest.outbox import Outbox
from shared.lease import Lease

log = logging.getLogger(__name__)

LEASE_S = 10.0
"""How long a dead owner keeps a source; short enough for a stand-by, long enough for a slow server."""


Settle = Callable[[str], Awaitable[None]]


class Ownership:
    """Whether we own `source`; `changed` is called whenever that changes.

    `settle` takes over what is there when the lease was taken anew, before anything is captured or published under it;
    when it fails, the source is not ours yet.
    """

    def __init__(
        self, source: str, lease: Lease, outbox: Outbox, changed: Callable[[], None], settle: Settle
    ) -> None:  # fmt: skip
        self.source = source
        self._lease = lease
        self._outbox = outbox
        self._changed = changed
        self._settle = settle
        self._claiming = asyncio.Lock()
        self._holder: str | None = "nobody has been asked yet"
        if self.owned:
            lease.token = self.token

    @property
    def token(self) -> str:
        """The token that the publishing script compares; empty when we do not own the source."""
        return self._outbox.producers[self.source].line.owner

    @property
    def owned(self) -> bool:
        """Whether the source is ours as far as we know."""
        return bool(self.token)

    async def claim(self) -> bool:
        """Renew or take the lease; whether the source is ours. Raises redis errors, then nothing has changed."""
        async with self._claiming:
            return await self._claim()

    async def _claim(self) -> bool:
        holder = await self._lease.acquire()
        token = self._lease.token if holder is None else ""
        if holder != self._holder:
            self._say(holder)
            self._holder = holder
        if token != self.token:
            if token:
                await self._settle(self.source)
            was_owned = self.owned
            self._outbox.own(self.source, token)
            if was_owned != self.owned:
                self._changed()
        return self.owned

    async def keep(self) -> None:
        """Renew the lease for ever, or wait for it to be free."""
        while True:
            try:
                await self.claim()
            except RedisError as error:
                log.debug("the lease of %s cannot be renewed: %s", self.source, error)
            await asyncio.sleep(self._lease.duration / 3)

    async def release(self) -> None:
        """Let another ingest have the source at once; what waits here is published by us when we are back."""
        try:
            await self._lease.release()
        except RedisError as error:
            log.debug("the lease of %s could not be released: %s", self.source, error)

    def _say(self, holder: str | None) -> None:
        if holder is None:
            log.info("source %s is ours", self.source)
        else:
            log.warning(
                "source %s belongs to %s: its traffic passes unopened here", self.source, holder.partition(":")[0]
            )
