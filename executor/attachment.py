"""Whether an account still has its consumer group, and what to say and do when it has not.

A group that nobody read for long is detached by the archiver, so that it does not fill Redis: its place is kept, and
whoever works for the account again gets the group back, as long as the stream has all that it had not read. A group
that is gone for any other reason takes the account's memory with it: nothing is sent before that is restored.
"""

from typing import cast

from redis.asyncio import Redis

from shared.streams import GroupLost, Keys

# KEYS: orders, place, state.  ARGV: group
ATTACH = """
local found = redis.pcall('XPENDING', KEYS[1], ARGV[1])
if type(found) ~= 'table' or not found.err then
  redis.call('HDEL', KEYS[2], 'detached', 'unread', 'before')
  return {'there', ''}
end
if not string.find(found.err, 'NOGROUP') then return redis.error_reply(found.err) end
if redis.call('HEXISTS', KEYS[3], 'removed') == 1 then return {'removed', ''} end
local place = redis.call('HMGET', KEYS[2], 'detached', 'unread', 'before')
if not place[1] then return {'lost', ''} end
if #redis.call('XRANGE', KEYS[1], place[2], place[2]) == 0 then return {'trimmed', place[1]} end
redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], place[3])
redis.call('HDEL', KEYS[2], 'detached', 'unread', 'before')
return {'back', place[1]}
"""


class Unattached(GroupLost):
    """There is no group to read with; the text says what to do, in one line. `is_removed`: a person wanted it so."""

    def __init__(self, text: str, *, is_removed: bool = False) -> None:
        super().__init__(text)
        self.is_removed = is_removed


async def attach(redis: Redis, keys: Keys, account: str) -> bool:
    """Make sure that the account has its group; True when it got back one that had been detached.

    Raises Unattached, and redis errors.
    """
    script = redis.register_script(ATTACH)
    names = [keys.orders, keys.account("place", account), keys.account("state", account)]
    word, since = (x.decode() for x in cast(list[bytes], await script(keys=names, args=[account])))
    if word in ("there", "back"):
        return word == "back"
    raise Unattached(_line(word, account, since), is_removed=word == "removed")


def condition(error: GroupLost) -> str:
    """What a lane is without its group."""
    return "removed" if isinstance(error, Unattached) and error.is_removed else "lost"


def line(account: str, error: GroupLost) -> str:
    """What to say when a group is gone."""
    return str(error) if isinstance(error, Unattached) else _line("lost", account, "")


def _line(word: str, account: str, since: str) -> str:
    restore = f"`tradecopier restore --account {account}`"
    match word:
        case "removed":
            return f"the account was removed: take it out of the settings, or `tradecopier account add {account}`"
        case "trimmed":
            return f"nobody read for it since {since}, and Redis did not keep what came: {restore} gets it back"
        case _:
            return f"nothing is sent, its consumer group is gone: Redis was emptied or is an old copy; {restore}"
