"""What `tradecopier replay` does: lists facts that could be tried again, says what would happen now, asks, hands over.

What is handed over is the signed original, to that account alone and with the next attempt number. Whether it acts is
decided by the account's lane when it does it, not by this list.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time

import click
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.candidates import gathered
from deploy.foresight import Outlook, outlooks
from deploy.handing import ANSWERS, answers, asking, newest
from deploy.surroundings import Surroundings, found
from executor.asked import Desk, Replay
from executor.replay import Candidate, Wish, aged, described
from shared import streams
from shared.plainly import plainly
from shared.process import UserError

MEAN = "say which: --dead, --denied REASON, --unfinished, --id ID, or a period with --from and --to"
NOTHING = "nothing to replay: no fact that is meant has ended on {account} without effect"


def carry_out(
    config: Path,
    environment: Mapping[str, str],
    data: Path | None,
    account: str,
    wish: Wish,
    *,
    dry_run: bool,
    yes: bool,
) -> None:
    """The whole command. Raises UserError."""
    surroundings = found(config, environment, data)
    require(surroundings, account)
    if not wish.says_something:
        raise UserError(MEAN)
    try:
        asyncio.run(_replay(surroundings, account, wish, dry_run=dry_run, yes=yes))
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {plainly(error)}; run this again") from error


def require(surroundings: Surroundings, account: str) -> None:
    """Raises UserError when there is no such account."""
    if account not in surroundings.executor.accounts:
        raise UserError(f"there is no account {account}; there are: {', '.join(surroundings.executor.accounts)}")


async def _replay(surroundings: Surroundings, account: str, wish: Wish, *, dry_run: bool, yes: bool) -> None:
    redis = streams.connect(surroundings.redis_url())
    try:
        candidates = await gathered(surroundings, redis, account, wish)
        if not candidates:
            click.echo(NOTHING.format(account=account))
            return
        expected = await outlooks(surroundings, redis, account, candidates, _now)
        for candidate, outlook in zip(candidates, expected, strict=True):
            for line in lines(candidate, outlook, _now()):
                click.echo(line)
        if dry_run:
            return
        if not yes and not click.confirm(f"Hand {_facts(len(candidates))} to {account}?", default=False):
            raise UserError("nothing was handed over")
        await hand_over(surroundings, redis, account, candidates, click.echo)
    finally:
        await redis.aclose()


def lines(candidate: Candidate, outlook: Outlook, now: datetime) -> Sequence[str]:
    """One candidate as it is listed: what it was, how it ended, and what would happen now."""
    fact, buried = candidate.fact, candidate.original.buried
    ended = candidate.result or ("dead letter" if buried else "never answered")
    why = candidate.reason or buried
    drift = f", price {outlook.drift} since" if outlook.drift else ""
    return (
        f"{fact.id}: {described(fact)}",
        f"  {aged(fact.captured, now)} old{drift}; {ended}{f' ({why})' if why else ''}",
        f"  attempt {candidate.attempt} now: {outlook.text}",
    )


async def hand_over(
    surroundings: Surroundings, redis: Redis, account: str, candidates: Sequence[Candidate], show: Callable[[str], None]
) -> None:
    """Ask for each, and show what comes of it. Raises UserError when the lane takes none."""
    desk = Desk(redis, surroundings.keys, surroundings.codec(), account)
    after, asked = await newest(redis, surroundings.keys), list[Replay]()
    for candidate in candidates:
        request = asking(candidate, _now())
        answer = await desk.ask(request, archived=candidate.archived)
        if answer == "asked":
            asked.append(request)
        elif answer == "idle":
            raise UserError(f"{account}: {ANSWERS[answer]}")
        else:
            show(f"{request.fact}: {ANSWERS[answer]}")
    left = await answers(redis, surroundings.keys, desk.codec, account, asked, after, show)
    if left:
        show(f"{_facts(left)} handed over and still under way: `tradecopier status`")


def _facts(count: int) -> str:
    return "1 fact" if count == 1 else f"{count} facts"


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)
