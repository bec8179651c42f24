"""One account's memory in Redis, and the scripts that are the only ways to it.

`fence` stands right before each call and only reads: our lease, our version of the memory, no outcome yet, and the
account's state. `commit` is the one place where an outcome is written and a fact acknowledged: all of it, or nothing. A
commit without an end parks an entry: it is passed, and stays in the pending list, which is what recovery reads.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from executor import scripts, sealing
from executor.book import Debt, Link
from executor.recalling import Memory, stored
from executor.remembering import Encoded, remembering, whole
from executor.sealing import Contents
from executor.states import AccountState
from shared import outcomes, wire
from shared.lease import Lease
from shared.streams import Entry, Keys

PARTS = ("lease", "state", "place", "done", "links", "debts", "drift", "replay")
DEAD_TEXT = 500
PASSING = ("unknown-key", "unknown-kind")
"""Reasons of a state that go by themselves: what is held can be read by now. All others stay until `resume`."""


class LeaseLost(Exception):
    """What we know of the account is void: another lane holds or changed it, or a failover lost what we wrote."""


class Fenced(Struct, frozen=True):
    """The fence is closed for this step: the account is in state `mode`, or the fact has its outcome already."""

    why: Literal["state", "done"]
    mode: str = ""


class Passed(Struct, frozen=True):
    """The call may be made now; nobody else can act for the account within `lease_left` seconds."""

    lease_left: float


class Work(Struct, frozen=True, kw_only=True):
    """One attempt to follow one fact."""

    fact: str
    attempt: int = 1

    @property
    def key(self) -> str:
        """The field that says whether this attempt has ended."""
        return f"{self.fact}#{self.attempt}"


class End(Struct, frozen=True, kw_only=True):
    """The end of an attempt (`work`), or only the end of an entry that needs no outcome (no work)."""

    result: outcomes.Result = "ignored"
    work: Work | None = None
    entry: str | None = None


class Change(Struct, kw_only=True):
    """What one commit writes. A Link or Debt of None removes it; without an end the entry is parked.

    `entry` is the one being worked on: when it is not pending any more, nothing is written. `drifts` are the
    disagreements that were told, by identity; None says that one is over. `requests` are what an operator asked for and
    this answers: when one is not there any more, nothing is written, and with an end they go. `noted` are requests
    with what is going to be sent for them.
    """

    entry: str | None = None
    ends: Sequence[End] = ()
    messages: Sequence[outcomes.Message] = ()
    links: Mapping[str, Link | None] = {}
    debts: Mapping[str, Debt | None] = {}
    drifts: Mapping[str, bytes | None] = {}
    requests: Sequence[str] = ()
    noted: Mapping[str, bytes] = {}
    passed: wire.Place | None = None
    dead: Mapping[bytes, bytes] = {}


def unnoticed(_change: Change) -> None:
    """Nobody wants to know what was committed."""


class Ledger:
    """The account's keys. Every method raises redis errors; LeaseLost when what we know of the account is void.

    `committed` is told each change that was written; it must neither wait nor raise.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        codec: wire.Codec,
        account: str,
        lease: Lease,
        committed: Callable[[Change], None] = unnoticed,
    ) -> None:
        self._committed = committed
        self._redis = redis
        self._keys = keys
        self.codec = codec
        self._account = account
        self._lease = lease
        self._version = ""
        self._begun = ""
        self._told = False
        self._contents = Contents()
        self._writing = asyncio.Lock()
        self._name = {part: keys.account(part, account) for part in PARTS}
        streams = [keys.orders, keys.outcomes, keys.dead]
        first, last = ("lease", "place", "done", "links", "debts"), ("drift", "replay")
        self._commit_keys = [*self._names(*first), *streams, *self._names(*last)]
        self._begin = redis.register_script(scripts.BEGIN)
        self._fence = redis.register_script(scripts.FENCE)
        self._commit = redis.register_script(scripts.COMMIT)
        self._renew = redis.register_script(scripts.RENEW)
        self._tighten = redis.register_script(scripts.TIGHTEN)
        self._loosen = redis.register_script(scripts.LOOSEN)
        self._note = redis.register_script(scripts.NOTE)

    async def begin(self) -> Memory:
        """Read everything that is kept of the account, after its lease was taken.

        Raises Unsealed when it is not what was sealed.
        """
        token = self._lease.token
        args = [token, self._version if token == self._begun else ""]
        reply = cast(list[bytes], await self._begin(keys=self._names("lease", "state", "place"), args=args))
        word, suspect, version = map(_text, reply)
        if word != "ok":
            raise LeaseLost(word)
        found = await stored(self._redis, self._keys, self._account)
        contents = found.require(self.codec, self._account)
        memory = found.memory(suspect)
        self._told = self._told and version == self._version
        self._version, self._begun, self._contents = version, token, contents
        return memory

    async def tell(self, memory: Memory, now: datetime) -> None:
        """Tell all of `memory`, as it was begun with, for the archive; when that knows it already, nothing."""
        if self._told:
            return
        links, debts = _encoded(memory.links), _encoded(memory.debts)
        kept = whole(self._account, links, debts, memory.place, memory.state, now)
        await self.commit(Change(messages=[kept]), now)
        self._told = True

    async def renew(self) -> None:
        """Renew the lease, if the server still knows what we wrote. A lane that is not the account's gets LeaseLost."""
        async with self._writing:
            before = self._lease.before_renewal()
            args: list[str | int] = [self._lease.token, int(self._lease.duration * 1000), self._version]
            word = cast(bytes, await self._renew(keys=self._names("lease", "place"), args=args)).decode()
            if word != "ok":
                raise LeaseLost(word)
            self._lease.renewed(before)

    async def fence(self, work: Work, modes: Sequence[AccountState]) -> Passed | Fenced:
        """Whether the call may be made now. A lane that is not the account's any more gets LeaseLost."""
        args = [self._lease.token, " ".join(modes), self._version, work.key]
        keys = self._names("lease", "state", "place", "done")
        word, value = map(_text, cast(list[bytes], await self._fence(keys=keys, args=args)))
        match word:
            case "ok":
                return Passed(int(value) / 1000)
            case "state":
                return Fenced("state", value)
            case "done":
                return Fenced("done")
            case _:
                raise LeaseLost(word)

    async def commit(self, change: Change, now: datetime) -> None:
        """Write `change` whole. After a redis error it is not known whether it was written: begin anew.

        LeaseLost also when an attempt of it had ended before: then only its entries were acknowledged, and what we
        remember of the account is not what led to that end.
        """
        dead = [x for pair in change.dead.items() for x in pair]
        async with self._writing:
            links, debts = _encoded(change.links), _encoded(change.debts)
            contents = self._contents.changed("links", links).changed("debts", debts)
            packed = {**self._packed(change, links, debts, now), "seal": self._sealed(contents).decode()}
            args: list[str | bytes] = [self._lease.token, msgspec.msgpack.encode(packed), *dead]
            reply = cast(list[bytes], await self._commit(keys=self._commit_keys, args=args))
            word, version = (x.decode() for x in reply)
            if word != "ok":
                raise LeaseLost(word)
            self._version, self._contents = version, contents
        self._committed(change)

    async def outcome(self, work: Work) -> str | None:
        """The result that this attempt has ended with, if it has."""
        stored = cast(bytes | None, await self._redis.hget(self._name["done"], work.key))
        return _text(stored).split(" ")[0] if stored else None

    async def state(self, *fields: str) -> list[str]:
        """Fields of the account's state as they are now; empty where there is none."""
        raw = cast(list[bytes | None], await self._redis.hmget(self._name["state"], list(fields)))
        return [_text(value) if value else "" for value in raw]

    async def note(self, **fields: str) -> None:
        """Set fields of the account's state (identity, figures, places …); those under the seal with a new seal."""
        async with self._writing:
            contents = self._contents.changed("state", sealing.stated(fields))
            seal = self._sealed(contents) if contents is not self._contents else b""
            args: list[str | bytes] = [
                self._lease.token,
                self._version,
                seal,
                *(x for pair in fields.items() for x in pair),
            ]
            reply = cast(list[bytes], await self._note(keys=self._names("lease", "state", "place"), args=args))
            word, version = map(_text, reply)
            if word != "ok":
                raise LeaseLost(word)
            if seal:
                self._version, self._contents = version, contents

    async def tighten(self, mode: AccountState, reason: str = "") -> None:
        """Bring the account into a state that lets less through; a stricter one that it is in stays."""
        args = [self._lease.token, str(mode), reason, *PASSING]
        if not await self._tighten(keys=self._names("lease", "state"), args=args):
            raise LeaseLost("lease")

    async def loosen(self) -> bool:
        """Undo what only a reason of PASSING has tightened; whether there was such a thing."""
        changed = int(await self._loosen(keys=self._names("lease", "state"), args=[self._lease.token, *PASSING]))
        if changed < 0:
            raise LeaseLost("lease")
        return bool(changed)

    def _names(self, *parts: str) -> list[str]:
        return [self._name[part] for part in parts]

    def _sealed(self, contents: Contents) -> bytes:
        return sealing.sealed(self.codec, self._account, contents)

    def _packed(self, change: Change, links: Encoded, debts: Encoded, now: datetime) -> dict[str, Any]:
        # Everything is text: the msgpack of the server's Lua does not know the binary type.
        told = remembering(self._account, change.messages, links, debts, change.passed, now)
        return {
            "group": self._account,
            "version": self._version,
            "entry": change.entry or "",
            "requests": change.requests,
            "noted": _flat(change.noted),
            "ends": [x for end in change.ends for x in (end.work.key if end.work else "", end.result, end.entry or "")],
            "ms": str(int(now.timestamp() * 1000)),
            "messages": [x.decode() for message in told for x in self._signed(message)],
            "links": _flat(links),
            "debts": _flat(debts),
            "drifts": [x for key, told in change.drifts.items() for x in (key, told.decode() if told else "")],
            "place": _fields(change.passed) if change.passed else [],
        }

    def _signed(self, message: outcomes.Message) -> tuple[bytes, bytes, bytes]:
        entry = self.codec.entry("outcomes", message)
        return entry[b"m"], entry[b"k"], entry[b"s"]


def dead_letter(entry: Entry, account: str, reason: str, text: str) -> dict[bytes, bytes]:
    """The fields of a dead letter: the entry as it came, with who gave it up and why."""
    about = {b"reader": account, b"entry": entry.id, b"reason": reason, b"text": text[:DEAD_TEXT]}
    return {**entry.fields, **{name: value.encode() for name, value in about.items()}}


def _text(stored: bytes) -> str:
    """What anybody may have written that has the account's password: bytes that are no text end no process."""
    return stored.decode("utf-8", "replace")


def _fields(place: wire.Place) -> list[str]:
    return ["entry", place.entry, *(x for name, seq in place.seqs.items() for x in (f"seq:{name}", str(seq)))]


def _encoded(values: Mapping[str, Link | None] | Mapping[str, Debt | None]) -> dict[str, bytes | None]:
    return {key: None if value is None else msgspec.json.encode(value) for key, value in values.items()}


def _flat(values: Mapping[str, bytes | None]) -> list[str]:
    return [x for key, value in values.items() for x in (key, value.decode() if value else "")]
