"""Looks at an account as its lane does, without the lane, to say what would happen to a fact now.

The terminal is asked through a child process of its own, beside the one that trades, and nothing is sent to it but
questions. What the lane decides later may differ: it looks again.
"""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import cast

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.surroundings import Surroundings
from executor import again
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.checkup import opened
from executor.instruments import symbol_of
from executor.mt5.api import Connected
from executor.owing import when_paid
from executor.recalling import stored
from executor.replay import Candidate, drifted, foreseen
from executor.settings import Account, Simulated
from executor.states import AccountState
from shared.pictures import SourcePicture, source_picture

UNKNOWN = "cannot be foreseen"


class Outlook(Struct, frozen=True):
    """What would happen to a fact now, and how far the price has gone since; both as text."""

    text: str
    drift: str = ""


async def outlooks(
    surroundings: Surroundings, redis: Redis, name: str, found: Iterable[Candidate], clock: Callable[[], datetime]
) -> list[Outlook]:
    """What would happen to each fact now. Raises redis errors; a terminal that gives no answer is said in the texts."""
    account = with_address(surroundings, name)
    pictures = {
        source: await source_picture(redis, surroundings.keys, surroundings.codec(), source)
        for source in account.sources
    }
    mode = await _mode(surroundings, redis, name)
    try:
        async with _keeper(surroundings, redis, name, account, clock) as keeper:
            return [await _outlook(keeper, c, pictures[c.fact.source], account, mode, clock()) for c in found]
    except TerminalAway as error:
        return [Outlook(f"{UNKNOWN}: {error}") for _ in found]


def with_address(surroundings: Surroundings, name: str) -> Account:
    """The account's settings; a simulated terminal that `up` has started is found in the data folder."""
    account = surroundings.executor.accounts[name]
    file = surroundings.machine.data / "terminals" / name / "address"
    if isinstance(account.terminal, Simulated) and account.terminal.address is None and file.exists():
        return replace(account, terminal=replace(account.terminal, address=file.read_text().strip()))
    return account


async def _outlook(
    keeper: Bookkeeper,
    candidate: Candidate,
    picture: SourcePicture,
    account: Account,
    mode: AccountState | None,
    now: datetime,
) -> Outlook:
    fact, symbol = candidate.fact, symbol_of(candidate.fact.instrument, account.symbols, keeper.book)
    if symbol is not None:
        await keeper.ensure(symbol)
    plan = again.now(fact, picture.positions, picture.facts, keeper.book, account, now)
    return Outlook(foreseen(plan, keeper.book, account, mode, now), drifted(fact, keeper.book, account))


@asynccontextmanager
async def _keeper(
    surroundings: Surroundings, redis: Redis, name: str, account: Account, clock: Callable[[], datetime]
) -> AsyncIterator[Bookkeeper]:
    memory = (await stored(redis, surroundings.keys, name)).memory("0")
    async with opened(name, account) as (terminal, answer):
        if not isinstance(answer, Connected):
            raise TerminalAway(answer.line)
        keeper = Bookkeeper(name, terminal, clock)
        await keeper.open(answer, memory.links)
        keeper.changed(when_paid(keeper.book, memory.debts))
        yield keeper


async def _mode(surroundings: Surroundings, redis: Redis, name: str) -> AccountState | None:
    raw = cast(bytes | None, await redis.hget(surroundings.keys.account("state", name), "mode"))
    return AccountState(raw.decode()) if raw else None
