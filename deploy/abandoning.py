"""Takes out an account of which Redis cannot say any more what it holds: on a person's word, and only then.

What is remembered is not as it was sealed, or cannot be read at all. So nothing of it is told: the archive hears that
the account was removed, and keeps what it knew before. Everything here is done with the account in our custody.
"""

from datetime import datetime

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deploy.membership import PARTS
from executor.recalling import stored
from shared.outcomes import Kept, Memory
from shared.plainly import STRANGE, wrong_type
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec

# KEYS: lease, outcomes, orders, state, then what is deleted.  ARGV: token, group, when, m, k, s
_ABANDON = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], '*', 'm', ARGV[4], 'k', ARGV[5], 's', ARGV[6])
redis.pcall('XGROUP', 'DESTROY', KEYS[3], ARGV[2])
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('HSET', KEYS[4], 'removed', ARGV[3])
return 1
"""


async def why(redis: Redis, keys: Keys, codec: Codec, account: str) -> str | None:
    """Why nothing is believed of what Redis remembers of an account; None when it is as it was sealed.

    Raises redis errors.
    """
    try:
        found = await stored(redis, keys, account)
    except ResponseError as error:
        if not wrong_type(error):
            raise
        return f"nothing is sent, what Redis remembers of it cannot be read: {STRANGE}"
    return found.flaw(codec, account)


async def is_there(redis: Redis, keys: Keys, account: str) -> bool:
    """Whether anything is kept of an account that was not removed. Raises redis errors."""
    return bool(await redis.exists(*(keys.account(part, account) for part in PARTS)))


async def abandon(redis: Redis, keys: Keys, codec: Codec, token: str, account: str, now: datetime) -> None:
    """Delete all that Redis has of an account, its group too. Raises UserError when somebody took it from us, or
    what it remembers is as it was sealed by now, and redis errors.
    """
    if await why(redis, keys, codec, account) is None:
        raise UserError(sound(account))
    entry = codec.entry("outcomes", Kept(account=account, seen=now, memory=Memory(), removed=True))
    names = [keys.account("lease", account), keys.outcomes, keys.orders, keys.account("state", account)]
    names += [keys.account(part, account) for part in PARTS]
    signed = [entry[name] for name in (b"m", b"k", b"s")]
    args: list[str | bytes] = [token, account, now.isoformat(timespec="seconds"), *signed]
    if not await redis.register_script(_ABANDON)(keys=names, args=args):
        raise UserError(f"{account}: another command has taken the account; nothing was changed, try again")


def sound(account: str) -> str:
    """What is said to somebody who would abandon an account without need."""
    return f"{account}: what it remembers is as it was sealed: remove it without --abandon, and the archive keeps that"
