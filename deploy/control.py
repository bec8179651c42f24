"""`pause`, `close-only`, `flatten` and `resume`: what an operator says to one account or to all of them.

The state is written where the executor's fence reads it before each call, so a command holds from the next order on,
whoever works for the account and even when nobody does at the moment. What stops exits, or closes everything, wants the
account's name typed out.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar, cast

import click
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.surroundings import Surroundings, found
from executor.ledger import STOPPED
from executor.orders import DONE, What, ordered, said, signed
from executor.states import OPERATOR, Command, Transition, after
from shared import streams
from shared.misplaced import unless_misplaced
from shared.plainly import plainly
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec

T = TypeVar("T")

# KEYS: the account's state.  ARGV: mode, reason, what the lane has to do besides (or ''), that order, signed. What a
# stranger has put in place of the state keeps no command from holding.
_SET = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'mode', ARGV[1], 'reason', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], ARGV[3], ARGV[4]) end
return 1
"""

WARNINGS: Mapping[Command, str] = {
    "pause": "Nothing will be sent to {names} any more: no stop is moved and NO POSITION IS CLOSED until `resume`.",
    "flatten": "Everything that TradeCopier holds on {names} will be closed at the market, and nothing opened.",
    "resume": "Facts were removed that {names} had not read, and are not back. The next change of a position that they "
    "are about makes up for all of it, whatever was done meanwhile: `tradecopier restore` first.",
}
SAID: Mapping[Command, str] = {
    "pause": "halted: nothing is sent, exits stay owed",
    "close-only": "close-only: nothing is opened, exits go on",
    "flatten": "close-only, and everything of ours is being closed",
    "resume": "following again; limits on losses count from now",
}


class Ordered(Struct, frozen=True):
    """What one account was told."""

    account: str
    transition: Transition


async def order(
    redis: Redis, keys: Keys, codec: Callable[[], Codec], command: Command, accounts: Mapping[str, bool]
) -> list[Ordered]:
    """Tell accounts (name: whether the settings let it trade) a command.

    `codec` gives what signs; it is asked when something is signed: `pause` and `close-only` hold without a key. Raises
    what it raises, before anything was told, and redis errors.
    """
    script, told = redis.register_script(_SET), []
    for name, live in accounts.items():
        transition = after(command, live=live)
        besides: What | None = "flatten" if transition.flatten else "rearm" if command == "resume" else None
        more = [besides, await _signed(redis, keys, codec(), name, besides)] if besides else ["", ""]
        await script(keys=[keys.account("state", name)], args=[str(transition.state), OPERATOR, *more])
        told.append(Ordered(name, transition))
    return told


async def _signed(redis: Redis, keys: Keys, codec: Codec, account: str, what: What) -> str:
    """An order of this moment, by the server's clock, and later than the one before it, the one that was carried out
    last, and what has stopped openings: another server's clock may have been ahead.
    """
    seconds, micros = await redis.time()
    fields = [what, DONE[what], STOPPED]
    raw = await unless_misplaced(redis.hmget(keys.account("state", account), fields), [None for _ in fields])
    kept, *past = ((each or b"").decode("utf-8", "replace") for each in cast(list[bytes | None], raw))
    before = max(ordered(codec, account, what, kept), *map(said, past))
    return signed(codec, account, what, max(seconds * 1_000_000 + micros, before + 1))


def chosen(surroundings: Surroundings, names: Sequence[str], everything: bool) -> dict[str, bool]:
    """The accounts that are meant. Raises UserError when it is not said, or there is no such account."""
    known = {name: account.live for name, account in surroundings.executor.accounts.items()}
    if everything == bool(names):
        raise UserError(f"name accounts, or give --all; there are: {', '.join(known)}")
    for name in names:
        if name not in known:
            raise UserError(f"there is no account {name}; there are: {', '.join(known)}")
    return known if everything else {name: known[name] for name in names}


async def lacking(redis: Redis, keys: Keys, accounts: Iterable[str]) -> list[str]:
    """The accounts that have stopped because facts were removed, and were not restored since. Raises redis errors."""
    states = {name: keys.account("state", name) for name in accounts}
    kept = {name: await unless_misplaced(redis.hget(state, STOPPED), None) for name, state in states.items()}
    return [name for name, stop in kept.items() if cast(bytes, stop or b"").startswith(b"removed ")]


def confirm(command: Command, names: Sequence[str]) -> None:
    """Have a dangerous command typed out. Raises UserError when something else was typed."""
    word = " ".join((command, *names))
    click.echo(WARNINGS[command].format(names=", ".join(names)))
    if click.prompt(f"Type `{word}` to go on", default="", show_default=False) != word:
        raise UserError("nothing was changed")


def carry_out(
    config: Path, data: Path | None, command: Command, names: tuple[str, ...], everything: bool, yes: str | None
) -> None:
    """The whole command, with what is said about it."""
    surroundings = found(config, os.environ, data)
    accounts = chosen(surroundings, names, everything)
    keys = surroundings.keys
    warned = list(accounts) if command in WARNINGS else []
    if command == "resume":
        warned = _reached(surroundings, lambda redis: lacking(redis, keys, accounts))
    if warned and yes != command:
        confirm(command, warned)
    told = _reached(surroundings, lambda redis: order(redis, keys, surroundings.codec, command, accounts))
    for each in told:
        shadow = " (in shadow: nothing is sent)" if command == "resume" and not accounts[each.account] else ""
        click.echo(f"{each.account}: {SAID[command]}{shadow}")


def _reached(surroundings: Surroundings, work: Callable[[Redis], Awaitable[T]]) -> T:
    async def connected() -> T:
        redis = streams.connect(surroundings.redis_url())
        try:
            return await work(redis)
        finally:
            await redis.aclose()

    try:
        return asyncio.run(connected())
    except (RedisError, OSError) as error:
        raise UserError(f"nothing was changed, Redis does not answer: {plainly(error)}") from error
