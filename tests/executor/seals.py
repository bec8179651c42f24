"""An account joins with the seal of a memory that is empty, and what a test has written into one is sealed as it is."""

from redis.asyncio import Redis

from deploy import membership
from executor import sealing
from executor.recalling import stored
from shared.wire import Codec
from tests.executor.rig import ACCOUNT, CODEC, KEYS


async def join(redis: Redis, account: str = ACCOUNT) -> None:
    """Let an account join at the stream's end."""
    await membership.join(redis, KEYS, CODEC, account)


async def seal(redis: Redis, codec: Codec = CODEC) -> None:
    """Seal what is remembered of the account by now, as one with the signing key can."""
    contents = (await stored(redis, KEYS, ACCOUNT)).contents
    sealed = sealing.sealed(codec, ACCOUNT, contents)
    await redis.hset(KEYS.account("place", ACCOUNT), sealing.FIELD, sealed.decode())
