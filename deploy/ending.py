"""What `tradecopier resolve` does: says what an end by hand would change, asks, and hands it to the account's lane."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import cast

import click
import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.candidates import under_way
from deploy.handing import ANSWERS, answers, newest
from deploy.standing import standing
from deploy.surroundings import Surroundings, found
from deploy.trying import require
from executor.asked import Desk, Resolve, TargetKind
from executor.book import Debt, Link
from executor.instruments import plain
from executor.replay import described
from shared import streams
from shared.facts import Fact
from shared.outcomes import EFFECTIVE, Result
from shared.plainly import plainly
from shared.process import UserError

TAKEN = "has just taken it up: `tradecopier status` shows what came of it"
DEAD_ONLY = "an entry that cannot be read has no effect: resolve it as dead"


def carry_out(
    config: Path,
    environment: Mapping[str, str],
    data: Path | None,
    account: str,
    named: Mapping[TargetKind, str | None] | Mapping[str, str | None],
    result: Result,
    note: str,
    *,
    yes: bool,
) -> None:
    """The whole command. Raises UserError."""
    surroundings = found(config, environment, data)
    require(surroundings, account)
    given = [(target, name) for target, name in named.items() if name]
    if len(given) != 1:
        raise UserError("say what is to end: one of --id FACT, --entry ENTRY, --link SOURCE/ACCOUNT/POSITION")
    target, name = given[0]
    request = Resolve(target=cast(TargetKind, target), name=name, result=result, note=note, asked=_now())
    try:
        asyncio.run(_resolve(surroundings, account, request, yes=yes))
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {plainly(error)}; run this again") from error


async def _resolve(surroundings: Surroundings, account: str, request: Resolve, *, yes: bool) -> None:
    redis = streams.connect(surroundings.redis_url())
    try:
        click.echo(await foretold(surroundings, redis, account, request))
        if not yes and not click.confirm(f"End it as {request.result}?", default=False):
            raise UserError("nothing was changed")
        desk = Desk(redis, surroundings.keys, surroundings.codec(), account)
        after = await newest(redis, surroundings.keys)
        answer = await desk.ask(msgspec.structs.replace(request, asked=_now()))
        if answer != "asked":
            raise UserError(f"{account}: {ANSWERS[answer]}")
        if await answers(redis, surroundings.keys, desk.codec, account, [request], after, click.echo):
            taken = not await desk.withdraw(request)
            raise UserError(f"{account}: the lane {TAKEN if taken else 'has not taken it up; nothing was changed'}")
    finally:
        await redis.aclose()


async def foretold(surroundings: Surroundings, redis: Redis, account: str, request: Resolve) -> str:
    """What an end by hand would change. Raises UserError when there is nothing to end."""
    now = await standing(redis, surroundings.keys, account)
    links = {link.key: link for link in now.links}
    for debt in now.debts:
        owes = any(owing.fact == request.name for owing in debt.owing)
        if (request.target == "link" and debt.link == request.name) or (request.target == "fact" and owes):
            return _about_debt(debt, links.get(debt.link), request)
    if request.target != "link":
        async for entry, fields in under_way(redis, surroundings.keys, account):
            fact = surroundings.codec().fact(fields)
            if isinstance(fact, Fact) and request.name in (fact.id, entry):
                return _about_fact(fact, request)
            if not isinstance(fact, Fact) and request.name == entry:
                return _about_entry(entry, request)
        if await _handed(surroundings, redis, account, request):
            return f"{request.name}: asked for again, and without an end yet"
    raise UserError(f"nothing named {request.name} is unfinished on {account}: `tradecopier status` says what is")


async def _handed(surroundings: Surroundings, redis: Redis, account: str, request: Resolve) -> bool:
    asked = await Desk(redis, surroundings.keys, surroundings.codec(), account).requests()
    return f"fact:{request.name}" in asked


def _about_debt(debt: Debt, link: Link | None, request: Resolve) -> str:
    own = link.own if link is not None else debt.target
    facts = ", ".join(owing.fact for owing in debt.owing) or "nothing that waits for it"
    beyond = plain(abs(own - debt.target))
    symbol = link.symbol if link is not None else "?"
    return (
        f"{debt.link}: {plain(abs(own))} lots of {symbol} are ours and {plain(abs(debt.target))} should be, since "
        f"{debt.since:%Y-%m-%d %H:%M:%S} UTC ({debt.reason}).\n"
        f"Nothing more will be sent for it, and {beyond} lots are not ours any more: close them by hand if they are "
        f"still open in the terminal. Ends as {request.result}: {facts}."
    )


def _about_fact(fact: Fact, request: Resolve) -> str:
    if request.result in EFFECTIVE:
        link = "what bears its mark in the terminal becomes ours; if nothing does, the position counts as closed here"
    else:
        link = "the account holds nothing of it, and its total counts as followed (refused if the terminal shows it)"
    return f"{fact.id}: {described(fact)}\nEnds as {request.result}: {link}. What waits behind it goes on."


def _about_entry(entry: str, request: Resolve) -> str:
    if request.result not in ("dead", "ignored"):
        raise UserError(DEAD_ONLY)
    return f"entry {entry} cannot be read. It goes to the dead letters, and what it said is not followed here."


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)
