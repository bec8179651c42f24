"""One holder of a name at a time, with a token that the scripts on the server check.

The lease keeps two processes from working at the same name in ordinary times. Safety does not rest on its timing:
every script that changes anything compares the token, so a holder that was paused past its lease changes nothing.
A lease that was lost comes back with a new token, so what was decided under the old one cannot pass for the new.
"""

import secrets
from collections.abc import Callable
from time import monotonic
from typing import cast

from redis.asyncio import Redis

_TAKE = """
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
"""

_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""


class Lease:
    """A lease on `key`, `duration` seconds long from each renewal. `owner` is a word for people, put into the token."""

    def __init__(
        self, redis: Redis, key: str, *, duration: float, owner: str, clock: Callable[[], float] = monotonic
    ) -> None:
        self.duration = duration
        self._owner = owner
        self._key = key
        self._clock = clock
        self._until = 0.0
        self._take = redis.register_script(_TAKE)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)
        self.token = self._new_token()

    @property
    def held(self) -> bool:
        """Whether the lease cannot have expired yet, by our own clock counted from before the last renewal was sent."""
        return self._clock() < self._until

    async def acquire(self) -> str | None:
        """Renew the lease or take it, with a new token. Returns None when it is ours now, else who holds it."""
        if await self.renew():
            return None
        before = self._clock()
        token = self._new_token()
        holder = cast(bytes, await self._take(keys=[self._key], args=[token, self._milliseconds()]))
        if holder != token.encode():
            return holder.decode("utf-8", "replace")
        self.token, self._until = token, before + self.duration
        return None

    async def renew(self) -> bool:
        """Renew the lease under the same token; False when it is not ours any more (it stays lost, take it anew)."""
        before = self._clock()
        renewed = await self._renew(keys=[self._key], args=[self.token, self._milliseconds()])
        self._until = before + self.duration if renewed else 0.0
        return bool(renewed)

    def before_renewal(self) -> float:
        """The moment to hand to `renewed`, for a script of the holder's own that renews the lease as it checks."""
        return self._clock()

    def renewed(self, before: float) -> None:
        """The lease was renewed by a script that was sent at `before`."""
        self._until = before + self.duration

    async def release(self) -> None:
        """Give the lease up, if it is still ours."""
        self._until = 0.0
        await self._release(keys=[self._key], args=[self.token])

    def _milliseconds(self) -> int:
        return int(self.duration * 1000)

    def _new_token(self) -> str:
        return f"{self._owner}:{secrets.token_hex(8)}"
