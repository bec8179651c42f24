"""Seals what Redis remembers of an account as it is, on a person's word: once after an upgrade from a version that had
no seals, or after an older version has worked for the account again.

What is shown is what is sealed: if it changes in between, nothing is. The account is in our custody meanwhile, so that
no executor writes.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.custody import custody
from deploy.standing import holding
from deploy.surroundings import Surroundings, found
from executor import sealing
from executor.book import Debt, Link
from executor.recalling import ENTRY, Stored, stored
from shared import showing, streams
from shared.misplaced import unless_misplaced
from shared.plainly import plainly
from shared.process import UserError
from shared.streams import GroupLost, Keys, Reader
from shared.wire import Codec, entry_order

T = TypeVar("T")

# KEYS: lease, place.  ARGV: token, seal, then fields that say what waits
_SEAL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 3, #ARGV do redis.call('HSET', KEYS[2], ARGV[i], '1') end
redis.call('HSET', KEYS[2], 'seal', ARGV[2])
redis.call('HINCRBY', KEYS[2], 'version', 1)
return 1
"""


def show(config: Path, data: Path | None, names: Sequence[str], *, everything: bool, yes: bool) -> None:
    """The whole command, with what is said about it. Raises UserError."""
    surroundings = found(config, os.environ, data)
    accounts = surroundings.executor.accounts
    if everything == bool(names):
        raise UserError(f"name accounts, or give --all; there are: {', '.join(accounts)}")
    for name in names:
        if name not in accounts:
            raise UserError(f"there is no account {name}; there are: {', '.join(accounts)}")
    try:
        asyncio.run(_sealed(surroundings, names or tuple(accounts), yes=yes))
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {plainly(error)}; run this again") from error


async def _sealed(surroundings: Surroundings, names: Sequence[str], *, yes: bool) -> None:
    redis, codec = streams.connect(surroundings.redis_url()), surroundings.codec()
    keys = surroundings.keys
    try:
        looks = {name: await unless_misplaced(stored(redis, keys, name), None) for name in names}
        seen = {name: memory for name, memory in looks.items() if memory is not None}
        wanting = {name: memory for name, memory in seen.items() if memory.flaw(codec, name) is not None}
        for name in looks.keys() - seen.keys():
            click.echo(f"{name}: not sealed, a key of it holds something else; `tradecopier restore --account {name}`")
        for name, memory in seen.items():
            for line in lines(name, memory, sound=name not in wanting):
                click.echo("".join(c if c.isprintable() else "?" for c in line))
        if not wanting:
            return
        if not yes and not click.confirm(f"Seal what is remembered of {', '.join(wanting)}?", default=False):
            raise UserError("nothing was changed")
        async with custody(redis, keys, wanting, "seal") as tokens:
            for name, memory in wanting.items():
                await seal(redis, keys, codec, tokens[name], name, memory)
                click.echo(f"{name}: sealed; its executor goes on by itself")
    finally:
        await redis.aclose()


async def seal(redis: Redis, keys: Keys, codec: Codec, token: str, account: str, shown: Stored) -> None:
    """Seal what was shown of an account that is in our custody, and that what is pending of it waits.

    Raises UserError when it is not that any more, and redis errors.
    """
    if (await stored(redis, keys, account)).contents.digest() != shown.contents.digest():
        raise UserError(f"{account}: it has changed since it was shown; nothing was sealed, look again")
    names = [keys.account(part, account) for part in ("lease", "place")]
    waits = await _waiting(redis, keys, account, shown)
    contents = shown.contents.changed("place", dict.fromkeys(waits, b"1"))
    args: list[Any] = [token, sealing.sealed(codec, account, contents), *waits]
    if not await redis.register_script(_SEAL)(keys=names, args=args):
        raise UserError(f"{account}: another command has taken the account; nothing was sealed, try again")


async def _waiting(redis: Redis, keys: Keys, account: str, shown: Stored) -> list[str]:
    """The fields that say what an account has passed and not ended: a version without them kept it pending alone.

    What is below its place and is still to be delivered, after `restore` or when its group comes back, is among it.
    """
    reader, place = Reader(redis, keys.orders, account, "seal"), shown.placed().entry
    try:
        pending, delivered = await reader.pending(), await reader.delivered()
    except GroupLost:
        before = shown.place.get("before", b"").decode("utf-8", "replace")  # it was detached
        pending, delivered = [], before if ENTRY.fullmatch(before) else place
    news = cast(list[Any], await redis.xrange(keys.orders, f"({delivered}", place))
    waits = [entry for entry in pending if entry_order(entry) <= entry_order(place)]
    return [f"{sealing.WAITS}{entry}" for entry in (*waits, *(entry.decode() for entry, _ in news))]


def lines(account: str, memory: Stored, *, sound: bool) -> Iterator[str]:
    """What is remembered of an account, for a person. Raises UserError when it cannot be read."""
    if sound:
        yield f"{account}: it is as it was sealed"
        return
    try:
        memory.placed()
        links = [_read(each, Link) for each in memory.links.values()]
        debts = [_read(each, Debt) for each in memory.debts.values()]
    except ValueError as error:
        how = f"`tradecopier restore --account {account}` brings back what the archive has"
        raise UserError(f"{account}: what Redis remembers of it cannot be read ({error}); {how}") from error
    yield f"{account}: {holding([link for link in links if link.parts or link.pendings])}"
    for link in links:
        yield f"    {link.key}: followed up to {link.followed} of the source's{_besides(link)}"
        for part in link.parts:
            yield f"    {link.key}: {part.side} {part.volume} {link.symbol}, ticket {part.ticket}"
        for pending in link.pendings.values():
            what = f"{pending.type} {pending.side} {pending.volume} {link.symbol} at {pending.price}"
            yield f"    {link.key}: {what}, ticket {pending.ticket}"
    for debt in debts:
        yield f"    {debt.link}: to be brought to {debt.target} lots, owed since {debt.since:%Y-%m-%d %H:%M} UTC"
    for name, value in sealing.stated(memory.state).items():
        yield f"    {name}: {value.decode('utf-8', 'replace')}"


def _besides(link: Link) -> str:
    lost = f", {link.remainder} lots still to come from rounding" if link.remainder else ""
    return lost + (", closed here and to stay so" if link.tombstone else "")


def _read(content: bytes, kind: type[T]) -> T:
    found = showing.read(content, kind)
    if found is None:
        raise ValueError(f"a {kind.__name__.lower()} of it is none")
    return found
