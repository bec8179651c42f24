"""What Redis has lost (a FLUSHALL, an old backup) is rebuilt from the archive's signed messages.

Redis holds what an account remembers and how far it has read; the archive holds all that was told of it. An account
whose group is gone stands still until this is done. Afterwards it is in close-only, follows again what has no end, and
looks into the terminal before it sends anything, so that nothing is sent twice.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic, time

import click
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from archiver.originals import Archive, Original
from archiver.patience import Away
from archiver.progress import Progress
from deploy import restoring
from deploy.custody import custody
from deploy.memory import Facts, Lookup, entries
from deploy.recollection import Recollection, sound
from deploy.restoring import Present
from deploy.standing import Standing, counted, holding, standing
from deploy.surroundings import Surroundings, found
from shared import streams
from shared.facts import Fact
from shared.outcomes import Message
from shared.plainly import plainly
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec, Refused


def show(config: Path, data: Path | None, accounts: Sequence[str], *, dry_run: bool, yes: bool) -> None:
    """The whole command, with what is said about it. Raises UserError."""
    surroundings = found(config, os.environ, data)
    for name in accounts:
        if name not in surroundings.executor.accounts:
            raise UserError(f"there is no account {name}; there are: {', '.join(surroundings.executor.accounts)}")
    try:
        asyncio.run(_restore(surroundings, accounts, dry_run=dry_run, yes=yes))
    except Away as error:
        raise UserError(f"postgres.dsn: the archive does not answer: {error}") from error
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {plainly(error)}; run this again") from error


async def _restore(surroundings: Surroundings, accounts: Sequence[str], *, dry_run: bool, yes: bool) -> None:
    async with at_work(surroundings) as work:
        names = await needing(work, accounts)
        if not names:
            click.echo("nothing to restore: every account has its group, and Redis knows no less than the archive")
            return
        if dry_run:
            facts = await asyncio.to_thread(work.facts, [work.found[n] for n in names], ())
            for line in would(names, facts):
                click.echo(line)
            return
        if not yes and not click.confirm(f"Restore {', '.join(names)}?", default=False):
            raise UserError("nothing was changed")
        for line in await restored(work, names):
            click.echo(line)


class Work(Struct, kw_only=True):
    """What a restore works with. `found` are the accounts as the archive remembers them, once they were asked for."""

    redis: Redis
    keys: Keys
    lookup: Lookup
    sources: Mapping[str, Sequence[str]]
    since: datetime
    found: dict[str, Recollection] = {}

    @property
    def codec(self) -> Codec:
        """What signs and reads the streams."""
        return self.lookup.codec

    def facts(self, accounts: Sequence[Recollection], present: Sequence[tuple[Original, Fact]]) -> Facts:
        """What was published, and what of it the accounts want. Raises Away."""
        return self.lookup.facts(accounts, present)

    async def remember(self, accounts: Sequence[str]) -> None:
        """Find out what the archive, and what is left of the stream, know of these accounts."""
        raw = await entries(self.redis, self.keys.outcomes)
        told: list[tuple[Original, Message]] = await asyncio.to_thread(
            lambda: list(sound(raw, self.codec.outcome, self.lookup.refused))
        )
        for name in accounts:
            known = await asyncio.to_thread(self.lookup.account, name, self.sources[name], told, self.since)
            if known is None:
                self.found.pop(name, None)
            else:
                self.found[name] = known


@asynccontextmanager
async def at_work(surroundings: Surroundings) -> AsyncIterator[Work]:
    """Both servers and the keys. Raises UserError."""
    keys, ring = surroundings.keys, surroundings.keyring()
    progress = Progress("messages", _show if sys.stderr.isatty() else _silent, monotonic)
    lookup = Lookup(
        archive=Archive(dsn=surroundings.dsn(), namespace=keys.namespace),
        codec=Codec(keys.namespace, ring),
        reader=Codec(keys.namespace, ring.with_retired()),
        refused=_Once(),
        seen=progress.seen,
    )
    redis = streams.connect(surroundings.redis_url())
    days = timedelta(days=float(surroundings.machine.archiver.retention))
    try:
        yield Work(
            redis=redis,
            keys=keys,
            lookup=lookup,
            sources={name: account.sources for name, account in surroundings.executor.accounts.items()},
            since=datetime.fromtimestamp(time(), UTC) - days,
        )
    finally:
        progress.over()
        await redis.aclose()


async def needing(work: Work, accounts: Sequence[str]) -> list[str]:
    """The accounts to restore, with a line on each that was looked at. Raises UserError when there is no way."""
    await work.remember(accounts or list(work.sources))
    names, unknown = [], []
    for name in accounts or work.sources:
        now = await standing(work.redis, work.keys, name)
        known = work.found.get(name)
        if known is None and (accounts or now.group == "lost"):
            unknown.append(name)
            mend = f"`tradecopier account add {name}` lets it join at the stream's end"
            click.echo(f"{name}: the archive knows nothing of it; {mend}")
        elif known is not None and (accounts or _needs(now, known)):
            click.echo(f"{name}: {now.words()}; {remembered(known)}")
            names.append(name)
    if unknown and not names:
        raise UserError("nothing can be restored")
    return names


def _needs(now: Standing, known: Recollection) -> bool:
    """Whether Redis has lost what an account had."""
    if known.removed or now.group == "removed":
        return False
    behind = any(now.seqs.get(producer, 0) < seq for producer, seq in known.passed.items())
    return now.group in ("lost", "trimmed") or (
        now.group == "attached" and (behind or "removed" in (now.reason, now.stopped))
    )


def remembered(known: Recollection) -> str:
    """What the archive remembers of an account, for a line."""
    passed = sum(known.passed.values())
    owed = f", {counted(len(known.debts), 'debt')}" if known.debts else ""
    return f"the archive has {holding(known.open_links())}{owed}, {counted(passed, 'fact')} passed"


def would(names: Sequence[str], facts: Facts) -> list[str]:
    """What a restore would do, a line per account."""
    again = {name: sum(name in each.accounts for each in facts.wanted.values()) for name in names}
    return [f"{name}: {counted(again[name], 'fact')} would be followed again, each looked up first" for name in names]


async def restored(work: Work, names: Sequence[str]) -> list[str]:
    """Take the accounts over, rebuild what Redis has lost, and say what was done. Raises UserError."""
    click.echo("waiting until nothing of these accounts is under way …")
    async with custody(work.redis, work.keys, names, "restore") as tokens:
        await work.remember(names)
        accounts = [work.found[name] for name in names]
        there = [(original, read) for original, read in await _orders(work) if isinstance(read, Fact)]
        facts = await asyncio.to_thread(work.facts, accounts, there)
        await restoring.settled(work.redis, work.keys, facts.origin)
        known = await restoring.lasts(work.redis, work.keys)
        lines = [
            f"source {source}: its picture and its place are back"
            for source in await restoring.restore_sources(work.redis, work.keys, facts.origin, known)
        ]
        present = await _present(work)
        if await restoring.add_missing(work.redis, work.keys, work.codec, facts.wanted.values(), present):
            present = await _present(work)  # what was published meanwhile stands before what was put back
        return lines + [await _account(work, tokens[each.account], each, present) for each in accounts]


async def _account(work: Work, token: str, account: Recollection, present: Sequence[Present]) -> str:
    again = await restoring.restore_account(work.redis, work.keys, work.codec, token, account, present)
    look = f"look at `tradecopier status`, then `tradecopier resume {account.account}`"
    return f"{account.account}: {restoring.words(again)}. It opens nothing yet: {look}"


async def _present(work: Work) -> list[Present]:
    return [Present(original.entry, read) for original, read in await _orders(work)]


async def _orders(work: Work) -> list[tuple[Original, Fact | Refused]]:
    """What is left of the stream; read in a thread, since the accounts that we hold are renewed meanwhile."""
    originals = await entries(work.redis, work.keys.orders)
    return await asyncio.to_thread(lambda: [(each, work.codec.fact(each.fields)) for each in originals])


class _Once:
    """Says each refused message once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            click.echo(f"not restored: {text}", err=True)


def _show(text: str) -> None:
    click.echo(text, nl=False, err=True)


def _silent(_text: str) -> None:
    pass
