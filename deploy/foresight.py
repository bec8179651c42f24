"""Looks at an account as its lane does, without the lane, to say what would happen to a fact now.

The terminal is asked through a child process of its own, beside the one that trades, and nothing is sent to it but
questions. What the lane decides later may differ: it looks again.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace
from redis.asyncio import Redis

from deploy.settings import started
from deploy.surroundings import Surroundings
from executor import again
from executor.book import Debt, Link
from executor.bookkeeping import Bookkeeper, TerminalAway
from executor.checkup import opened
from executor.instruments import symbol_of
from executor.mt5.api import Connected
from executor.owing import when_paid
from executor.recalling import stored
from executor.replay import Candidate, drifted, foreseen
from executor.settings import Account, Simulated
from executor.states import AccountState
from shared import showing
from shared.pictures import SourcePicture, source_picture

T = TypeVar("T")

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
    address = started(surroundings.executor, surroundings.machine.data).get(name)
    if isinstance(account.terminal, Simulated) and address is not None:
        return replace(account, terminal=replace(account.terminal, address=address))
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
    memory = await stored(redis, surroundings.keys, name)
    links, debts = _read(memory.links, Link), _read(memory.debts, Debt)
    async with opened(name, account) as (terminal, answer):
        if not isinstance(answer, Connected):
            raise TerminalAway(answer.line)
        keeper = Bookkeeper(name, terminal, clock)
        await keeper.open(answer, links)
        keeper.changed(when_paid(keeper.book, debts))
        yield keeper


def _read(values: Mapping[str, bytes], kind: type[T]) -> dict[str, T]:
    """Links or debts. Raises TerminalAway when somebody has written what is none: nothing is sent then."""
    found = {name: showing.read(value, kind) for name, value in values.items()}
    sound = {name: each for name, each in found.items() if each is not None}
    if len(sound) < len(found):
        raise TerminalAway("what Redis remembers of the account cannot be read")
    return sound


async def _mode(surroundings: Surroundings, redis: Redis, name: str) -> AccountState | None:
    raw = cast(bytes | None, await redis.hget(surroundings.keys.account("state", name), "mode"))
    if raw is None:
        return None
    mode = raw.decode("utf-8", "replace")
    # What is no state lets nothing through the fence.
    return AccountState(mode) if mode in [*AccountState] else AccountState.HALTED
