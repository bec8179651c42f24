"""How an account stands in Redis: whether it has its group, how far it has passed, and what of it is open."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from executor.book import Debt, Link
from executor.ledger import STOPPED
from shared import showing
from shared.misplaced import unless_misplaced
from shared.settings import NAME
from shared.streams import Keys
from shared.wire import ENTRY

SEQ = re.compile(rb"[0-9]{1,18}")
T = TypeVar("T")
PARTS = ("replay", "debts", "links", "place", "state")
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
    `group` is `lost` for an account that never was added, too. `stopped`: why its lane opens nothing. `strange`
    are the parts of what is kept of it that nobody can read, or not all of which.
    """

    account: str
    group: Group
    lag: int | None = None
    pending: int = 0
    asked: int = 0
    mode: str = ""
    reason: str = ""
    stopped: str = ""
    identity: str = ""
    seqs: Mapping[str, int] = {}
    links: tuple[Link, ...] = ()
    debts: tuple[Debt, ...] = ()
    strange: tuple[str, ...] = ()

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
    found = {part: await _hash(redis, keys.account(part, account)) for part in PARTS}
    asked, debts, links, place, state = (_by_text(found[part] or {}) for part in PARTS)
    read_links, read_debts = _read(links, Link), _read(debts, Debt)
    strange = {part for part, content in found.items() if content is None}
    strange |= {"links"} if len(read_links) < len(links) else set()
    strange |= {"debts"} if len(read_debts) < len(debts) else set()
    seqs = {k.removeprefix("seq:"): v for k, v in place.items() if k.startswith("seq:")}
    return Standing(
        account=account,
        group="attached" if group else await _gone(redis, keys, place, state),
        lag=group.get("lag") if group else None,
        pending=int(group["pending"]) if group else 0,
        asked=len(asked),
        mode=showing.line(state.get("mode", b"")),
        reason=showing.line(state.get("reason", b"")),
        stopped=showing.line(state.get(STOPPED, b"").rpartition(b" ")[0]),
        identity=showing.line(state.get("identity", b"")),
        seqs={name: int(seq) for name, seq in seqs.items() if SEQ.fullmatch(seq)},
        links=read_links,
        debts=read_debts,
        strange=tuple(sorted(strange)),
    )


async def known(redis: Redis, keys: Keys) -> list[str]:
    """Every account of which Redis keeps anything that matters. A name that no account can have is a stranger's.

    Raises redis errors.
    """
    names: set[str] = set()
    for part in ("state", "place", "links"):
        start = keys.account(part, "")
        async for key in redis.scan_iter(match=f"{_escaped(start)}*", count=1000):
            names.add(key.decode("utf-8", "replace").removeprefix(start))
    return sorted(name for name in names if NAME.fullmatch(name))


def counted(number: int, noun: str) -> str:
    """A number with its noun."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def holding(links: Sequence[Link]) -> str:
    """What is open, for a line."""
    held = [f"{link.symbol} {link.own:+f} lots" for link in links if link.parts]
    held += [f"{link.symbol} {counted(len(link.pendings), 'order')}" for link in links if link.pendings]
    return ", ".join(held) or "nothing open"


async def _gone(redis: Redis, keys: Keys, place: Mapping[str, bytes], state: Mapping[str, bytes]) -> Group:
    if "removed" in state:
        return "removed"
    if "detached" not in place:
        return "lost"
    unread = place.get("unread", b"").decode("utf-8", "replace")
    there = await redis.xrange(keys.orders, unread, unread) if ENTRY.fullmatch(unread) else ()
    return "detached" if there else "trimmed"


async def _group(redis: Redis, stream: str, name: str) -> Mapping[str, Any] | None:
    try:
        groups = cast(list[Mapping[str, Any]], await redis.xinfo_groups(stream))
    except ResponseError:
        return None  # the stream is not there
    return next((group for group in groups if group["name"] == name.encode()), None)


async def hashed(redis: Redis, key: str) -> Mapping[bytes, bytes]:
    """A hash by its fields; nothing when it is none: a stranger has put something else there. Raises redis errors."""
    return await _hash(redis, key) or {}


async def _hash(redis: Redis, key: str) -> Mapping[bytes, bytes] | None:
    return cast(Mapping[bytes, bytes] | None, await unless_misplaced(redis.hgetall(key), None))


def _read(contents: Mapping[str, bytes], kind: type[T]) -> tuple[T, ...]:
    read = (showing.read(content, kind) for content in contents.values())
    return tuple(each for each in read if each is not None)


def _by_text(stored: Mapping[bytes, bytes]) -> dict[str, bytes]:
    return {name.decode("utf-8", "replace"): value for name, value in stored.items()}


def _escaped(text: str) -> str:
    return text.replace("[", "\\[").replace("*", "\\*").replace("?", "\\?")
