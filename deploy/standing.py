"""How an account stands in Redis: whether it has its group, how far it has passed, and what of it is open."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from executor.book import Debt, Link
from executor.recalling import readable
from shared.streams import Keys

Group = Literal["attached", "detached", "trimmed", "removed", "lost"]

WORDS: Mapping[Group, str] = {
    "attached": "reads",
    "detached": "detached: nobody read for it, it goes on where it was once an executor runs",
    "trimmed": "detached, and Redis did not keep what came since: restore it",
    "removed": "removed",
    "lost": "its group is gone: restore it",
}


class Standing(Struct, frozen=True, kw_only=True):
    """One account. `seqs` are what it has passed by producer, `lag` what it has not read (None: nobody can tell).

    `pending` entries were read and have no end, `asked` is what an operator has asked for and nobody has answered.
    `group` is `lost` for an account that never was added, too.
    """

    account: str
    group: Group
    lag: int | None = None
    pending: int = 0
    asked: int = 0
    mode: str = ""
    reason: str = ""
    identity: str = ""
    seqs: Mapping[str, int] = {}
    links: tuple[Link, ...] = ()
    debts: tuple[Debt, ...] = ()

    @property
    def open(self) -> list[Link]:
        """The links of which something is ours."""
        return [link for link in self.links if link.parts or link.pendings]

    @property
    def unsettled(self) -> int:
        """How many orders are under way: what they leave open is not known yet."""
        return self.pending + self.asked + len(self.debts)

    def words(self) -> str:
        """How its group is, for a line."""
        return WORDS[self.group]


async def standing(redis: Redis, keys: Keys, account: str) -> Standing:
    """Look at one account, whether what is remembered of it is believed or not. Raises redis errors."""
    # What is under way comes first: a commit in between then shows twice, as under way and as open, and never nowhere.
    group = await _group(redis, keys.orders, account)
    parts = ("replay", "debts", "links", "place", "state")
    asked, debts, links, place, state = [await _hash(redis, keys.account(part, account)) for part in parts]
    seqs = {k.removeprefix("seq:"): v for k, v in place.items() if k.startswith("seq:")}
    return Standing(
        account=account,
        group="attached" if group else await _gone(redis, keys, place, state),
        lag=group.get("lag") if group else None,
        pending=int(group["pending"]) if group else 0,
        asked=len(asked),
        mode=state.get("mode", ""),
        reason=state.get("reason", ""),
        identity=state.get("identity", ""),
        seqs={name: int(seq) for name, seq in seqs.items() if seq.isdecimal()},
        links=tuple(readable((text.encode() for text in links.values()), Link)),
        debts=tuple(readable((text.encode() for text in debts.values()), Debt)),
    )


async def known(redis: Redis, keys: Keys) -> list[str]:
    """Every account of which Redis keeps anything that matters. Raises redis errors."""
    names: set[str] = set()
    for part in ("state", "place", "links"):
        start = keys.account(part, "")
        async for key in redis.scan_iter(match=f"{_escaped(start)}*", count=1000):
            names.add(key.decode().removeprefix(start))
    return sorted(names)


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def holding(links: Sequence[Link]) -> str:
    """What is open, for a line."""
    held = [f"{link.symbol} {link.own:+f} lots" for link in links if link.parts]
    held += [f"{link.symbol} {counted(len(link.pendings), 'order')}" for link in links if link.pendings]
    return ", ".join(held) or "nothing open"


async def _gone(redis: Redis, keys: Keys, place: Mapping[str, str], state: Mapping[str, str]) -> Group:
    if "removed" in state:
        return "removed"
    if "detached" not in place:
        return "lost"
    there = await redis.xrange(keys.orders, place["unread"], place["unread"])
    return "detached" if there else "trimmed"


async def _group(redis: Redis, stream: str, name: str) -> Mapping[str, Any] | None:
    try:
        groups = cast(list[Mapping[str, Any]], await redis.xinfo_groups(stream))
    except ResponseError:
        return None  # the stream is not there
    return next((group for group in groups if group["name"] == name.encode()), None)


async def _hash(redis: Redis, key: str) -> dict[str, str]:
    stored = cast(Mapping[bytes, bytes], await redis.hgetall(key))
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, value in stored.items()}


def _escaped(text: str) -> str:
    return text.replace("[", "\\[").replace("*", "\\*").replace("?", "\\?")
