"""An account joins, leaves, or becomes another login's: what that changes in Redis, each in one script.

Whatever an account remembered when it left, or was made another's, is told on the outcomes stream first, so the archive
keeps it. Everything here is done with the account in our custody.
"""

from datetime import UTC, datetime
from time import time
from typing import Any

from msgspec.structs import replace
from redis.asyncio import Redis

from executor import joining, sealing
from executor.orders import all_done
from executor.recalling import stored
from executor.remembering import whole
from executor.sealing import Contents
from shared import groups
from shared.outcomes import Kept
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec, Place

PARTS = ("place", "links", "debts", "done", "replay", "drift", "vitals")
"""What is deleted of an account that leaves; its state says from then on that it was removed."""

FIGURES = ("day", "day-start", "peak", "explained", "deals-told", "deals-counted", "deals-until", "identity")
"""What of an account's state belongs to the login and not to the name."""

# KEYS: lease, outcomes, orders, state, then what is deleted.  ARGV: token, m, k, s, group, when
_REMOVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], '*', 'm', ARGV[2], 'k', ARGV[3], 's', ARGV[4])
redis.pcall('XGROUP', 'DESTROY', KEYS[3], ARGV[5])
for i = 4, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('HSET', KEYS[4], 'removed', ARGV[6])
return 1
"""

# KEYS: lease, outcomes, state, place, done, then what is deleted.  ARGV: token, m, k, s, identity or '', the seal of
# what is kept, then fields that go. With what is deleted the effects of all attempts stay at the old login: for the new
# one they did nothing.
_REPOINT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('XADD', KEYS[2], '*', 'm', ARGV[2], 'k', ARGV[3], 's', ARGV[4])
for i = 7, #ARGV do redis.call('HDEL', KEYS[3], ARGV[i]) end
if ARGV[5] ~= '' then redis.call('HSET', KEYS[3], 'identity', ARGV[5]) end
if #KEYS > 5 then
  local ends = redis.call('HGETALL', KEYS[5])
  for i = 1, #ends, 2 do redis.call('HSET', KEYS[5], ends[i], (string.gsub(ends[i + 1], '^%S+', 'ignored'))) end
end
for i = 6, #KEYS do redis.call('DEL', KEYS[i]) end
redis.call('HSET', KEYS[4], 'seal', ARGV[6])
redis.call('HINCRBY', KEYS[4], 'version', 1)
return 1
"""


async def join(redis: Redis, keys: Keys, codec: Codec, account: str, *, afresh: bool = False) -> bool:
    """Let an account join at the stream's end; False when it was there. Raises redis errors.

    It is sealed as one that remembers nothing but that it was asked nothing yet. So one of which something is left goes
    on only when a person says what becomes of that; `afresh` says that it is forgotten.
    """
    seconds, micros = await redis.time()
    state = all_done(seconds * 1_000_000 + micros)

    def seal(place: Place) -> bytes:
        return sealing.sealed(codec, account, sealing.contents(groups.fields(place), state, {}, {}))

    return await groups.join_orders(redis, keys, account, seal, state, sealing.STATED if afresh else ())


async def remove(redis: Redis, keys: Keys, codec: Codec, token: str, account: str) -> None:
    """Take an account out: its group, so that it holds nothing up, and all that is kept of it but what it held.

    Raises UserError when somebody took the account from us, or what is remembered is not as it was sealed, and redis
    errors.
    """
    kept, _ = await memory(redis, keys, codec, account)
    kept = replace(kept, removed=True)
    names = [keys.account("lease", account), keys.outcomes, keys.orders, keys.account("state", account)]
    names += [keys.account(part, account) for part in PARTS]
    args = [token, *_signed(codec, kept), account, kept.seen.isoformat(timespec="seconds")]
    await _done(redis, _REMOVE, names, args, account)


async def repoint(
    redis: Redis, keys: Keys, codec: Codec, token: str, account: str, identity: str, *, abandon: bool
) -> None:
    """Let the account be another login's from now on; `identity` is login@server, empty: whatever comes next.

    It reads on where it was. With `abandon` what it held under the old login is forgotten. Raises as `remove` does.
    """
    kept, contents = await memory(redis, keys, codec, account)
    if abandon:
        kept = replace(kept, memory=replace(kept.memory, links={}, debts={}))
    # An account that forgets what it holds joins anew: what its sources hold by now is from before it.
    going = (*FIGURES, joining.FIELD) if abandon else FIGURES
    contents = (contents.without("links", "debts") if abandon else contents).changed("state", dict.fromkeys(going))
    seal = sealing.sealed(codec, account, contents)
    state = {name: value for name, value in kept.state.items() if name not in going}
    kept = replace(kept, state={**state, "identity": identity} if identity else state)
    names = [
        keys.account("lease", account),
        keys.outcomes,
        keys.account("state", account),
        keys.account("place", account),
        keys.account("done", account),
    ]
    names += [keys.account(part, account) for part in ("links", "debts", "replay", "drift")] if abandon else []
    await _done(redis, _REPOINT, names, [token, *_signed(codec, kept), identity, seal, *going], account)


async def memory(redis: Redis, keys: Keys, codec: Codec, account: str) -> tuple[Kept, Contents]:
    """All that Redis has of an account's memory, and what of it is under the seal.

    Raises UserError when it is not as it was sealed: what is told is signed, and would be restored; and redis errors.
    """
    found = await stored(redis, keys, account)
    if (why := found.flaw(codec, account)) is not None:
        raise UserError(f"{account}: {why}")
    now = datetime.fromtimestamp(time(), UTC)
    try:
        return whole(account, found.links, found.debts, found.placed(), found.told(), now), found.contents
    except ValueError as error:
        restore = f"`tradecopier restore --account {account}` brings it back"
        raise UserError(f"{account}: its place in Redis cannot be read ({error}); {restore}") from error


def _signed(codec: Codec, kept: Kept) -> list[bytes]:
    entry = codec.entry("outcomes", kept)
    return [entry[b"m"], entry[b"k"], entry[b"s"]]


async def _done(redis: Redis, script: str, names: list[str], args: list[Any], account: str) -> None:
    if not await redis.register_script(script)(keys=names, args=args):
        raise UserError(f"{account}: another command has taken the account; nothing was changed, try again")
