"""Reads what Redis remembers of an account, whole and at one moment; it is believed only as it was sealed."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar, cast

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from executor import sealing
from executor.book import Debt, Link
from executor.sealing import Contents
from shared.process import UserError
from shared.streams import Keys
from shared.wire import Codec, Place

T = TypeVar("T", Link, Debt)

PARTS = ("place", "state", "links", "debts", "drift")
ENTRY = re.compile("[0-9]{1,20}-[0-9]{1,20}")
"""The id of an entry, as the server's scripts read it too."""
VERSION = re.compile(b"[0-9]{1,13}")
"""What the scripts can count on from: Lua writes numbers of more than 14 digits in another way."""


class Unsealed(UserError):
    """What Redis remembers of an account is not believed; the text says what to do, in one line."""


class Memory(Struct, frozen=True, kw_only=True):
    """What Redis knows of an account when a lane begins, at `began` by the server's clock. Facts captured before
    `suspect_before` may have been sent. `parked` are entries that were passed and have no end yet.
    """

    place: Place
    state: Mapping[str, str]
    links: dict[str, Link]
    debts: dict[str, Debt]
    suspect_before: datetime
    began: datetime
    drifts: Mapping[str, bytes] = {}
    parked: frozenset[str] = frozenset()


class Stored(Struct, frozen=True, kw_only=True):
    """One account's hashes, by field. What is no text has a field that nothing is sealed under."""

    place: Mapping[str, bytes]
    state: Mapping[str, bytes]
    links: Mapping[str, bytes]
    debts: Mapping[str, bytes]
    drift: Mapping[str, bytes]

    @property
    def contents(self) -> Contents:
        """What of it is under the seal."""
        return sealing.contents(self.place, self.state, self.links, self.debts)

    def flaw(self, codec: Codec, account: str) -> str | None:
        """Why it is not believed, and what to do."""
        return sealing.flaw(codec, account, self.contents, self.place.get(sealing.FIELD))

    def require(self, codec: Codec, account: str) -> Contents:
        """What is under the seal, when that is sound. Raises Unsealed."""
        why = self.flaw(codec, account)
        if why is not None:
            raise Unsealed(why)
        return self.contents

    def memory(self, suspect: str = "0", began: str = "0") -> Memory:
        """What a lane begins with. Raises Unsealed when that cannot be read; both moments are in microseconds.

        Who only looks gives none.
        """
        try:
            return Memory(
                place=self.placed(),
                state=self.told(),
                links={key: msgspec.json.decode(value, type=Link) for key, value in self.links.items()},
                debts={key: msgspec.json.decode(value, type=Debt) for key, value in self.debts.items()},
                suspect_before=_moment(suspect),
                began=_moment(began),
                drifts=self.drift,
                parked=self.parked(),
            )
        except (msgspec.MsgspecError, ValueError, OverflowError, OSError) as error:
            how = "`tradecopier restore` brings back what the archive has"
            raise Unsealed(f"nothing is sent, what Redis remembers of it cannot be read ({error}); {how}") from error

    def placed(self) -> Place:
        """How far the account has read. Raises ValueError when that, or the version of it all, is no such thing."""
        if not VERSION.fullmatch(self.place.get("version", b"0")):
            raise ValueError("its version is no number")
        seqs = {k.removeprefix("seq:"): int(v) for k, v in self.place.items() if k.startswith("seq:")}
        entry = self.place.get("entry", b"0-0").decode()
        if not ENTRY.fullmatch(entry):
            raise ValueError(f"no entry has the id {entry[:64]!r}")
        return Place(entry=entry, seqs=seqs)

    def parked(self) -> frozenset[str]:
        """The entries that were passed and have no end yet. Raises ValueError when one is none."""
        found = frozenset(k.removeprefix(sealing.WAITS) for k in self.place if k.startswith(sealing.WAITS))
        if not all(map(ENTRY.fullmatch, found)):
            raise ValueError("what waits are no entries")
        return found

    def told(self) -> dict[str, str]:
        """The account's state as text."""
        return {name: value.decode("utf-8", "replace") for name, value in self.state.items()}


def _moment(micros: str) -> datetime:
    return datetime.fromtimestamp(int(micros) / 1e6, UTC)


def readable(values: Iterable[bytes], kind: type[T]) -> list[T]:
    """What can be read of links or debts, for who only shows them, whether they are believed or not."""
    found = []
    for value in values:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):
            found.append(msgspec.json.decode(value, type=kind))
    return found


async def stored(redis: Redis, keys: Keys, account: str) -> Stored:
    """Everything that is remembered of an account. Raises redis errors."""
    async with redis.pipeline(transaction=True) as pipe:
        for part in PARTS:
            pipe.hgetall(keys.account(part, account))
        hashes = cast(list[Mapping[bytes, bytes]], await pipe.execute())
    texts = ({name.decode("utf-8", "replace"): value for name, value in each.items()} for each in hashes)
    return Stored(**dict(zip(PARTS, texts, strict=True)))
