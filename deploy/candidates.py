"""Gathers what could be tried again on an account: the signed facts, and what became of their attempts.

The streams are looked at first; what has left them is in the archive, where an operator has one. Nothing is believed
without its signature.
"""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, cast

from msgspec.structs import replace
from redis.asyncio import Redis

from archiver.originals import Archive
from archiver.originals import Original as Row
from archiver.patience import Away
from deploy.memory import entries
from deploy.surroundings import Surroundings
from executor.book import Debt
from executor.replay import Candidate, Known, Original, Wish, candidates
from shared import showing
from shared.facts import Fact
from shared.outcomes import Outcome
from shared.process import UserError
from shared.streams import Keys
from shared.wire import ENTRY, Codec

PAGE = 1000
ATTEMPT = re.compile(r"(.*)#([0-9]{1,9})", re.DOTALL)
"""A fact and the number of an attempt at it, as its end is marked."""


async def gathered(surroundings: Surroundings, redis: Redis, account: str, wish: Wish) -> tuple[Candidate, ...]:
    """What can be tried again of what is meant.

    Raises redis errors, and UserError when the archive is needed and does not answer.
    """
    keys, codec = surroundings.keys, surroundings.codec()
    originals = [*await _streamed(redis, keys, codec), *await _buried(redis, keys, codec, account)]
    known = await _known(redis, keys, codec, account)
    oldest = min((o.fact.captured for o in originals), default=None)
    missing = wish.id and all(o.fact.id != wish.id for o in originals)
    if missing or (wish.since is not None and (oldest is None or wish.since < oldest)):
        found, told = _archived(surroundings, account, wish)
        originals += found
        known = replace(known, told={**_newest(told), **known.told})
    return candidates(originals, known, wish, surroundings.executor.accounts[account].sources)


async def _streamed(redis: Redis, keys: Keys, codec: Codec) -> list[Original]:
    return list(_sound(codec, await entries(redis, keys.orders)))


async def _buried(redis: Redis, keys: Keys, codec: Codec, account: str) -> Iterator[Original]:
    """The account's dead letters that can be read by now."""
    letters = [row for row in await entries(redis, keys.dead) if row.fields.get(b"reader") == account.encode()]
    return (replace(o, entry=_text(o, b"entry"), buried=_text(o, b"reason")) for o in _sound(codec, letters))


def _text(original: Original, field: bytes) -> str:
    return original.fields.get(field, b"").decode("utf-8", "replace")


async def _known(redis: Redis, keys: Keys, codec: Codec, account: str) -> Known:
    done = cast(dict[bytes, bytes], await redis.hgetall(keys.account("done", account)))
    ends: dict[str, dict[int, str]] = {}
    for name, value in done.items():
        if (attempt := ATTEMPT.fullmatch(name.decode("utf-8", "replace"))) is not None:
            ends.setdefault(attempt[1], {})[int(attempt[2])] = value.decode("utf-8", "replace").split(" ")[0]
    told = _outcomes(codec, await entries(redis, keys.outcomes), account)
    raw = cast(list[bytes | None], await redis.hmget(keys.account("place", account), ["entry"]))
    place = (raw[0] or b"").decode("utf-8", "replace")
    return Known(
        ends=ends,
        told=_newest(told),
        busy=await _busy(redis, keys, account),
        place=place if ENTRY.fullmatch(place) else "0-0",
    )


def _outcomes(codec: Codec, rows: Iterable[Row], account: str) -> list[Outcome]:
    read = (codec.outcome(row.fields) for row in rows)
    return [message for message in read if isinstance(message, Outcome) and message.account == account]


def _newest(told: Iterable[Outcome]) -> dict[str, Outcome]:
    return {o.fact: o for o in sorted(told, key=lambda o: o.attempt)}


async def _busy(redis: Redis, keys: Keys, account: str) -> set[str]:
    """Entries without an end, and facts that wait for a debt or are asked for already."""
    debts = cast(list[bytes], await redis.hvals(keys.account("debts", account)))
    read = (showing.read(content, Debt) for content in debts)
    owing = {owing.fact for debt in read if debt is not None for owing in debt.owing}
    fields = cast(list[bytes], await redis.hkeys(keys.account("replay", account)))
    asked = {field.decode("utf-8", "replace").removeprefix("fact:") for field in fields}
    pending = {entry async for entry, _ in under_way(redis, keys, account)}
    return owing | asked | pending


async def under_way(redis: Redis, keys: Keys, account: str) -> AsyncIterator[tuple[str, dict[bytes, bytes]]]:
    """The entries that were delivered to the account and have no end yet, with what is in them."""
    start = "-"
    while page := cast(list[Any], await redis.xpending_range(keys.orders, account, start, "+", PAGE)):
        for row in page:
            entry = row["message_id"].decode()
            found = cast(list[Any], await redis.xrange(keys.orders, entry, entry))
            yield entry, dict(found[0][1]) if found else {}
        start = f"({page[-1]['message_id'].decode()}"


def _archived(surroundings: Surroundings, account: str, wish: Wish) -> tuple[list[Original], list[Outcome]]:
    """What the archive has of the facts that are meant, and of their ends."""
    namespace, keyring = surroundings.keys.namespace, surroundings.keyring()
    archive = Archive(dsn=surroundings.dsn(), namespace=namespace)
    try:
        rows = archive.fact(wish.id) if wish.id else archive.facts()
        originals = [o for o in _sound(Codec(namespace, keyring), rows) if wish.covers(o.fact.captured)]
        since = min((o.fact.captured for o in originals), default=None)
        told = archive.told(account, since) if since is not None else iter(())
        return originals, _outcomes(Codec(namespace, keyring.with_retired()), told, account)
    except Away as error:
        raise UserError(f"what is meant has left the streams, and the archive does not answer: {error}") from error


def _sound(codec: Codec, rows: Iterable[Row]) -> Iterator[Original]:
    """Those that the account's lane can read, too."""
    for row in rows:
        fact = codec.fact(row.fields)
        if isinstance(fact, Fact):
            yield Original(fact=fact, entry=row.entry, fields=row.fields)
