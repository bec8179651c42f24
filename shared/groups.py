"""How groups begin to read: an account's at the stream's end, the archive's at its beginning.

An account's place says which entry and which sequences its group starts after. It is under the account's seal, which no
server can make: so the end is read first, and a script writes only where that is still the same stream.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.process import UserError
from shared.streams import Keys
from shared.wire import Place

SEQUENCE = re.compile(rb"(\d{1,15}) ")
"""The sequence in what is kept of a producer; what a stranger has written there is none."""
TRIES = 20
NO_STATE: Mapping[str, str] = {}

HAS = """
local function has(orders, entry) -- whether a group that starts after this entry reads all that has come since
  local info, last = redis.pcall('XINFO', 'STREAM', orders), '0-0'
  for i = 1, #info, 2 do if info[i] == 'last-generated-id' then last = info[i + 1] end end
  return last == entry or #redis.call('XRANGE', orders, entry, entry) > 0
end
"""
"""Lua, to stand before a script that writes a place."""

# KEYS: stream, place, state, links, debts.  ARGV: one msgpack map
# The state says on which server, so that another one, which may have lost whatever follows, is never taken for it.
_JOIN = f"""{HAS}
local c = cmsgpack.unpack(ARGV[1])
if not has(KEYS[1], c.entry) then return 'moved' end
local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], c.group, c.entry, 'MKSTREAM')
if type(made) == 'table' and made.err then
  if string.find(made.err, 'BUSYGROUP') then return 'there' end
  return redis.error_reply(made.err)
end
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], 'removed')
if #c.forgotten > 0 then redis.call('DEL', KEYS[4], KEYS[5]) end
for i = 1, #c.forgotten do redis.call('HDEL', KEYS[3], c.forgotten[i]) end
for i = 1, #c.place, 2 do redis.call('HSET', KEYS[2], c.place[i], c.place[i + 1]) end
redis.call('HSET', KEYS[3], 'server', string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)'))
for i = 1, #c.state, 2 do redis.call('HSET', KEYS[3], c.state[i], c.state[i + 1]) end
if c.seal ~= '' then redis.call('HSET', KEYS[2], 'seal', c.seal) end
return 'joined'
"""


def unsealed(_place: Place) -> bytes:
    """No seal, with which no lane begins."""
    return b""


def fields(place: Place) -> dict[str, str]:
    """A place as it stands in Redis."""
    return {"entry": place.entry, **{f"seq:{producer}": str(seq) for producer, seq in place.seqs.items()}}


def flat(values: Mapping[str, str]) -> list[str]:
    """Fields and values in turn, as scripts take them."""
    return [x for pair in values.items() for x in pair]


async def end(redis: Redis, keys: Keys) -> Place:
    """Where the orders stream ends, at one moment. Raises redis errors."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.xinfo_stream(keys.orders)
        pipe.hgetall(keys.producers)
        info, producers = cast(tuple[Any, Mapping[bytes, bytes]], await pipe.execute(raise_on_error=False))
    if isinstance(info, ResponseError) and "no such key" in str(info):
        info = {"last-generated-id": b"0-0"}
    for reply in (info, producers):
        if isinstance(reply, Exception):
            raise reply
    found = ((name.decode("utf-8", "replace"), SEQUENCE.match(value)) for name, value in producers.items())
    return Place(entry=info["last-generated-id"].decode(), seqs={name: int(m[1]) for name, m in found if m})


async def join_orders(
    redis: Redis,
    keys: Keys,
    account: str,
    seal: Callable[[Place], bytes] = unsealed,
    state: Mapping[str, str] = NO_STATE,
    forgotten: Sequence[str] = (),
) -> bool:
    """Make the account's group at the stream's end, and its place; False when it was there already.

    `seal` makes that of a memory with this place and `state` alone. `forgotten`: fields of its state that go, with all
    links and debts. Raises UserError when the stream is emptied again and again, and redis errors.
    """
    script = redis.register_script(_JOIN)
    own = (keys.account(part, account) for part in ("place", "state", "links", "debts"))
    names = [keys.orders, *own]
    for _ in range(TRIES):
        place = await end(redis, keys)
        told = {
            "group": account,
            "entry": place.entry,
            "place": flat(fields(place)),
            "state": flat(state),
            "forgotten": list(forgotten),
        }
        told["seal"] = seal(place).decode()
        answer = cast(bytes, await script(keys=names, args=[msgspec.msgpack.encode(told)]))
        if answer != b"moved":
            return answer == b"joined"
    raise UserError(f"{account}: it did not join, the stream is emptied meanwhile; try again")


async def join_archive(redis: Redis, stream: str, group: str) -> None:
    """Make the archive's group at the stream's beginning: it wants everything that is there."""
    try:
        await redis.xgroup_create(stream, group, id="0", mkstream=True)
    except ResponseError as error:
        if not str(error).startswith("BUSYGROUP"):
            raise
