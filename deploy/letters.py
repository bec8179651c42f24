"""`tradecopier dead-letters`: the entries that somebody gave up, with who and why; and that a person has seen them.

As long as one is there, `status` is red and an alert calls: what could not be followed must not be forgotten.
"""

import asyncio
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError

from archiver.originals import Original
from deploy.memory import entries
from deploy.standing import counted
from deploy.surroundings import Surroundings, found
from shared import showing, streams
from shared.plainly import plainly
from shared.process import UserError
from shared.wire import entry_time

TEXT = 200
"""Characters of a letter's explanation that are shown."""


def show(config: Path, data: Path | None, *, clear: bool) -> None:
    """List them, and with `clear` take away those that were listed. Raises UserError."""
    surroundings = found(config, os.environ, data)
    try:
        for line in asyncio.run(_shown(surroundings, clear=clear)):
            click.echo(line)
    except (RedisError, OSError) as error:
        raise UserError(f"Redis does not answer: {plainly(error)}") from error


async def listed(redis: Redis, key: str, *, clear: bool) -> list[Original]:
    """The dead letters, oldest first. `clear` takes away these, and none that came meanwhile. Raises redis errors."""
    letters = await entries(redis, key)
    if clear and letters:
        await redis.xdel(key, *(letter.entry for letter in letters))
    return letters


def lines(letters: Sequence[Original], *, cleared: bool) -> Iterator[str]:
    """What is said of them."""
    for letter in letters:
        at = entry_time(letter.entry).astimezone()
        reader, entry, reason, text = (_word(letter, name) for name in ("reader", "entry", "reason", "text"))
        yield f"{at:%Y-%m-%d %H:%M:%S}  {reader} gave up entry {entry}, {reason}: {text[:TEXT]}"
    if not letters:
        yield "there are no dead letters"
    elif cleared:
        yield f"{counted(len(letters), 'dead letter')} taken away"
    else:
        yield f"{counted(len(letters), 'dead letter')}. A key or an upgrade that was missing is here now?"
        yield "    `tradecopier replay --account NAME --dead` tries again what can be read by now"
        yield "Nothing left to do about them? `tradecopier dead-letters --clear` takes these away"


async def _shown(surroundings: Surroundings, *, clear: bool) -> list[str]:
    redis = streams.connect(surroundings.redis_url())
    try:
        return [*lines(await listed(redis, surroundings.keys.dead, clear=clear), cleared=clear)]
    finally:
        await redis.aclose()


def _word(letter: Original, name: str) -> str:
    """A field as a person reads it: whoever can write to Redis can put anything there."""
    return showing.line(letter.fields.get(name.encode(), b"?"))
