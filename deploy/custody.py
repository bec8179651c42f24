"""Takes accounts out of their executors' hands while something about them is written that no executor may overlook.

The lease is taken over at once, so that no executor fences or commits from then on, and nothing is done before what
one was about to send can have begun no more. Afterwards the lease is given up, and whoever takes it begins anew.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import cast

from redis.asyncio import Redis

from shared.process import cancelled
from shared.streams import Keys

LASTS_S = 10.0
"""How long an account still waits for a command that was killed; one that works renews the lease all the time."""
RENEW_S = 1.0

# KEYS: lease.  ARGV: token, milliseconds.  Answers for how long the lease would have lasted, in milliseconds.
_SEIZE = """
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return left
"""

_RELEASE = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

_RENEW = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0
"""


@asynccontextmanager
async def custody(redis: Redis, keys: Keys, accounts: Collection[str], why: str) -> AsyncIterator[Mapping[str, str]]:
    """Hold these accounts; gives the token of each for the scripts that check it. `why` is a word for people.

    Raises redis errors. Of two commands that take the same account the later one has it, as the scripts will say.
    """
    tokens = {name: f"{why}:{secrets.token_hex(8)}" for name in accounts}
    leases = {name: keys.account("lease", name) for name in accounts}
    seize, release = redis.register_script(_SEIZE), redis.register_script(_RELEASE)
    left = [cast(int, await seize(keys=[leases[n]], args=[tokens[n], int(LASTS_S * 1000)])) for n in accounts]
    renewing = asyncio.create_task(_renewed(redis, leases, tokens))
    try:
        await asyncio.sleep(max([0, *left]) / 1000)
        yield tokens
    finally:
        await cancelled(renewing)
        for name in accounts:
            await release(keys=[leases[name]], args=[tokens[name]])


async def _renewed(redis: Redis, leases: Mapping[str, str], tokens: Mapping[str, str]) -> None:
    renew = redis.register_script(_RENEW)
    while True:
        await asyncio.sleep(RENEW_S)
        for name, lease in leases.items():
            await renew(keys=[lease], args=[tokens[name], int(LASTS_S * 1000)])
