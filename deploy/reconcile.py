"""`tradecopier reconcile`: lists on what an account and its sources disagree, and has it mended when told to.

The account's own lane finds and mends it; here its list is read, and what is wanted is asked for.
"""

import asyncio
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Any, cast

import click

from deploy.operate import DATA
from shared.process import UserError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from deploy.surroundings import Surroundings
    from executor.drift import Found

SILENT_S = 5.0
PATIENCE_S = 30.0
"""How long it is waited until a disagreement is gone: a close and the next look of the lane."""
LEFT = 1
"""The exit code when something disagrees still."""


@click.command()
@click.option("--account", required=True, help="The account that is compared with its sources.")
@click.option("--apply", "applying", is_flag=True, help="Mend what is listed.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def reconcile(config: Path, *, account: str, applying: bool, yes: bool, data: Path | None) -> None:
    """List on what an account and its sources disagree, since when, and what would end it. Exit code 1 when they do.

    With --apply it is ended: what the source has closed is closed, what it holds is opened under the guards of any
    opening, levels are set, orders placed or removed. Positions that are not ours are never touched.
    """
    from deploy.surroundings import found
    from deploy.trying import require

    surroundings = found(config, os.environ, data)
    require(surroundings, account)
    sys.exit(asyncio.run(_carried_out(surroundings, account, applying=applying, yes=yes)))


async def _carried_out(surroundings: "Surroundings", account: str, *, applying: bool, yes: bool) -> int:
    from redis.exceptions import RedisError

    from deploy.handing import newest
    from shared import streams
    from shared.plainly import plainly

    redis = streams.connect(surroundings.redis_url())
    try:
        there = await listed(surroundings, redis, account)
        for line in lines(account, there, datetime.fromtimestamp(time(), UTC)):
            click.echo(line)
        if not there or not applying:
            return LEFT if there else 0
        after = await newest(redis, surroundings.keys)
        await _asked(surroundings, redis, account, there, yes=yes)
        return await _ended(surroundings, redis, account, there, after)
    except (RedisError, OSError) as error:
        raise UserError(f"Redis does not answer: {plainly(error)}") from error
    finally:
        await redis.aclose()


async def listed(surroundings: "Surroundings", redis: "Redis", account: str) -> "dict[str, Found]":
    """What the account's lane has found for certain, oldest first. Says so when nobody works for the account."""
    from executor.drift import Found
    from shared import showing, vitals

    keys = surroundings.keys
    told = await vitals.account(redis, keys, account)
    if told is None or time() - told.at.timestamp() > SILENT_S:
        click.echo(f"{account}: no executor works for it now; this is what was known last", err=True)
    kept = cast(Mapping[bytes, bytes], await redis.hgetall(keys.account("drift", account)))
    named = ((_text(name), showing.read(content, Found)) for name, content in kept.items())
    found = {name: each for name, each in named if name is not None and each is not None}
    return dict(sorted(found.items(), key=lambda item: item[1].since))


def lines(account: str, found: "Mapping[str, Found]", now: datetime) -> Iterator[str]:
    """The list for a person."""
    from deploy.light import span

    if not found:
        yield f"{account}: nothing disagrees"
        return
    yield f"{account}: {len(found)} {'disagreement' if len(found) == 1 else 'disagreements'}"
    for each in found.values():
        since = f"for {span((now - each.since).total_seconds())}"
        where = f" [{each.position}]" if each.position else ""
        yield f"  {each.line}{where}, {since}; to end it: {each.remedy}"


async def _asked(
    surroundings: "Surroundings", redis: "Redis", account: str, there: "Mapping[str, Found]", *, yes: bool
) -> None:
    from deploy.handing import ANSWERS
    from executor.asked import Desk, Mend

    if not yes and click.prompt(f"Type `{account}` to have this done", default="", show_default=False) != account:
        raise UserError("nothing was changed")
    desk = Desk(redis, surroundings.keys, surroundings.codec(), account)
    answer = await desk.ask(Mend(names=tuple(there), asked=datetime.fromtimestamp(time(), UTC)))
    if answer != "asked":
        raise UserError(f"nothing was changed: {ANSWERS[answer]}")


async def _ended(surroundings: "Surroundings", redis: "Redis", account: str, there: Collection[str], after: str) -> int:
    """Wait until what was asked for is done, show what the lane says of it, and say what is still there."""
    keys, end, left = surroundings.keys, monotonic() + PATIENCE_S, set(there)
    while left and monotonic() < end:
        after = await _shown(surroundings, redis, account, after)
        kept = cast(list[bytes], await redis.hkeys(keys.account("drift", account)))
        left &= {_text(name) for name in kept}
    for name in sorted(left):
        click.echo(f"{account}: still there: {name}; `tradecopier status` shows what becomes of it")
    if not left:
        click.echo(f"{account}: nothing of it disagrees any more")
    return LEFT if left else 0


async def _shown(surroundings: "Surroundings", redis: "Redis", account: str, after: str) -> str:
    """Show what the lane has said since; answers up to where. Raises UserError when it refuses the whole."""
    from executor.clerk import NOT_DONE
    from shared.outcomes import Notice

    reply = cast(list[Any], await redis.xread({surroundings.keys.outcomes: after}, block=200) or [])
    for entry, fields in (each for _, entries in reply for each in entries):
        after, message = entry.decode(), surroundings.codec().outcome(fields)
        if not isinstance(message, Notice) or message.account != account:
            continue
        if message.reason == "reconcile":
            click.echo(f"{account}: {message.text}")
        elif message.text.startswith(f"{NOT_DONE}: mend: "):
            raise UserError(f"{account}: {message.text}")
    return after


def _text(name: bytes) -> str | None:
    """The identity of a disagreement; None for what is no text, or would be none on a screen: no lane wrote that."""
    try:
        text = name.decode()
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None
