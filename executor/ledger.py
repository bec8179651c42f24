"""One account's memory in Redis, and the scripts that are the only ways to it.

`fence` stands right before each call and only reads: our lease, our version of the memory, no outcome yet, and the
account's state. `commit` is the one place where an outcome is written and a fact acknowledged: all of it, or nothing. A
commit without an end parks an entry: it is passed, and stays in the pending list, which is what recovery reads.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from executor import orders, scripts, sealing
from executor.book import Debt, Link
from executor.change import Change, Standing, Work
from executor.holding import Gap
from executor.recalling import Memory, stored
from executor.remembering import Encoded, remembering, whole
from executor.sealing import Contents
from executor.states import AccountState
from executor.vanished import vanished
from shared import outcomes, wire
from shared.facts import Fact
from shared.lease import Lease
from shared.streams import Keys

PARTS = ("lease", "state", "place", "done", "links", "debts", "drift", "replay")
STOPPED = "stopped"
"""The field of the account's state that says why, and since when, the lane itself lets nothing be opened."""
PASSING = ("unknown-key", "unknown-kind")
"""Reasons of a state that go by themselves: what is held can be read by now. All others stay until `resume`."""


WHY = {"lease": "another lane has the account now", "done": "what was followed here had ended before"}
MOVED = "Redis has another memory of the account: another lane wrote, or a failover lost what we wrote"


class LeaseLost(Exception):
    """What we know of the account is void: another lane holds or changed it, or a failover lost what we wrote."""

    def __init__(self, word: str) -> None:
        """`word` is what a script has answered."""
        super().__init__(WHY.get(word, MOVED))


class Fenced(Struct, frozen=True):
    """The fence is closed for this step: the account is in state `mode`, or the fact has its outcome already."""

    why: Literal["state", "done"]
    mode: str = ""


class Passed(Struct, frozen=True):
    """The call may be made now; nobody else can act for the account within `lease_left` seconds."""

    lease_left: float


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
        self.standing = Standing()
        self._stopped = ""
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
        word, suspect, version, began = map(_text, reply)
        if word != "ok":
            raise LeaseLost(word)
        found = await stored(self._redis, self._keys, self._account)
        contents = found.require(self.codec, self._account)
        memory = found.memory(suspect, began)
        self._told = self._told and version == self._version
        self._version, self._begun, self._contents = version, token, contents
        self.standing, self._stopped = Standing(memory.place, memory.parked), memory.state.get(STOPPED, "")
        return memory

    async def tell(self, memory: Memory, now: datetime) -> None:
        """Tell all of `memory`, as it was begun with, for the archive; when that knows it already, nothing."""
        if self._told:
            return
        links, debts = _encoded(memory.links), _encoded(memory.debts)
        kept = whole(self._account, links, debts, memory.place, memory.state, now, await self._waiting(memory.parked))
        await self.commit(Change(messages=[kept]), now)
        self._told = True

    async def _waiting(self, parked: Iterable[str]) -> list[tuple[str, int]]:
        """The facts of entries, by producer and sequence: those that can be read, and that the stream still has."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for entry in parked:
                pipe.xrange(self._keys.orders, entry, entry)
            found = cast(list[list[Any]], await pipe.execute())
        read = (self.codec.fact(fields) for raw in found for _, fields in raw)
        return [(fact.producer, fact.seq) for fact in read if isinstance(fact, Fact)]

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
        if AccountState.CLOSE_ONLY not in modes and await self.stopped():
            return Fenced("state", AccountState.CLOSE_ONLY)
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

        LeaseLost also when an attempt of it had ended before: then nothing was written, and what we remember of the
        account is not what led to that end.
        """
        dead = [x for pair in change.dead.items() for x in pair]
        async with self._writing:
            links, debts = _encoded(change.links), _encoded(change.debts)
            standing = self.standing.after(change)
            placed = standing.since(self.standing)
            contents = self._contents.changed("links", links).changed("debts", debts).changed("place", placed)
            packed = {**self._packed(change, links, debts, now), "place": _flat(placed)}
            packed["seal"] = self._sealed(contents).decode()
            args: list[str | bytes] = [self._lease.token, msgspec.msgpack.encode(packed), *dead]
            reply = cast(list[bytes], await self._commit(keys=self._commit_keys, args=args))
            word, version = (x.decode() for x in reply)
            if word != "ok":
                raise LeaseLost(word)
            self._version, self._contents, self.standing = version, contents, standing
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
                self._stopped = fields.get(STOPPED, self._stopped)

    async def stop(self, reason: str) -> None:
        """Stop openings until an operator's signed `resume` later than now, whatever is done to the account's mode."""
        seconds, micros = await self._redis.time()
        (resumed,) = await self.state("rearm")
        # When openings were let go on last, another server's clock may have been ahead of this one's.
        moment = max(seconds * 1_000_000 + micros, orders.ordered(self.codec, self._account, "rearm", resumed))
        await self.note(**{STOPPED: f"{reason} {moment}"})
        await self.tighten(AccountState.CLOSE_ONLY, reason)

    async def forget(self, work: Work) -> None:
        """Take away the end of an attempt that has none by the account's memory; on what Redis says is no seal."""
        await self._redis.hdel(self._name["done"], work.key)

    async def vanished(self, delivered: str) -> list[Gap]:
        """The facts that the account was given, by now up to `delivered`, has not passed, and are nowhere any more."""
        return await vanished(self._redis, self._keys, self.standing.place, delivered)

    async def stopped(self) -> str:
        """Why openings are stopped, whatever the account's mode says; empty when an operator has let them go on."""
        reason, _, _ = self._stopped.rpartition(" ")
        if reason:
            (resumed,) = await self.state("rearm")
            if orders.ordered(self.codec, self._account, "rearm", resumed) > orders.said(self._stopped):
                await self.note(**{STOPPED: ""})
                return ""
        return reason

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
        }

    def _signed(self, message: outcomes.Message) -> tuple[bytes, bytes, bytes]:
        entry = self.codec.entry("outcomes", message)
        return entry[b"m"], entry[b"k"], entry[b"s"]


def _text(stored: bytes) -> str:
    """What anybody may have written that has the account's password: bytes that are no text end no process."""
    return stored.decode("utf-8", "replace")


def _encoded(values: Mapping[str, Link | None] | Mapping[str, Debt | None]) -> dict[str, bytes | None]:
    return {key: None if value is None else msgspec.json.encode(value) for key, value in values.items()}


def _flat(values: Mapping[str, bytes | None]) -> list[str]:
    return [x for key, value in values.items() for x in (key, value.decode() if value else "")]
