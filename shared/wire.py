"""A message as a signed entry of a stream, and back.

An entry has three fields: the message `m` (JSON, readable in redis-cli), the id `k` of the key it was signed with
and the signature `s`: HMAC-SHA256 over namespace, stream and message, in hex. A fact's producer and sequence are
part of its message and so are signed with it. What cannot be accepted is a value, never an exception: a reader has
to decide what becomes of it.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import msgspec
from msgspec import Struct

from shared import facts, outcomes

Fields = Mapping[bytes, bytes]
T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS = int((datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH).total_seconds() * 1000)
_LAST_NUMBER = 2**64 - 1

KEY_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a key may be called. A name that no key can have is no reason to wait for one."""

ENTRY = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")
"""The id of an entry, as scripts on the server read it too; no server has longer numbers."""

SOUND_KEY_BYTES = 16
"""A signing key shorter than this can be guessed; the settings refuse it."""


class Keyring(Struct, kw_only=True):
    """The keys that entries may be signed with, by id, and which of them signs what we write.

    What a `retired` key signed is true in the archive and nowhere else. All codecs of a process share one keyring, so
    that a key which arrives while it runs is known to all at once. `file` is where the keys were read, for whoever
    watches it.
    """

    current: str
    keys: Mapping[str, bytes]
    retired: Mapping[str, bytes] = {}
    file: str = ""

    def become(self, other: "Keyring") -> None:
        """Hold the keys of `other` from now on."""
        self.current, self.keys, self.retired = other.current, other.keys, other.retired

    def with_retired(self) -> "Keyring":
        """The same keys for one who reads the archive: the retired ones count too."""
        return Keyring(current=self.current, keys={**self.retired, **self.keys})

    def __repr__(self) -> str:
        return f"Keyring(current={self.current!r}, ids={sorted(self.keys)}, retired={sorted(self.retired)})"


class Malformed(Struct, frozen=True):
    """The entry has no message, or its message cannot be read as what its kind promises."""

    text: str


class UnknownKind(Struct, frozen=True):
    """A soundly signed message of a kind that this version does not know."""

    kind: str


class UnknownKey(Struct, frozen=True):
    """Signed with a key that we do not have (yet)."""

    key: str


class BadSignature(Struct, frozen=True):
    """The key is known and the signature is not its own: forged, or copied from another stream."""

    key: str


class RetiredKey(Struct, frozen=True):
    """Signed with a key that is not used any more: who has it now is not one of us."""

    key: str


Refused = Malformed | UnknownKind | UnknownKey | BadSignature | RetiredKey


class _Header(Struct):
    kind: str


class Codec:
    """Signs and reads the entries of one namespace."""

    def __init__(self, namespace: str, keyring: Keyring) -> None:
        self._namespace = namespace
        self._keyring = keyring
        self._encoder = msgspec.json.Encoder()
        self._header = msgspec.json.Decoder(_Header)
        self._facts = msgspec.json.Decoder(facts.Fact)
        self._outcomes = msgspec.json.Decoder(outcomes.Message)

    @property
    def namespace(self) -> str:
        """Whose entries they are."""
        return self._namespace

    @property
    def key_ids(self) -> list[str]:
        """The ids of the keys that count now; the first one signs."""
        return [self._keyring.current, *(key for key in self._keyring.keys if key != self._keyring.current)]

    def entry(self, stream: str, message: facts.Fact | outcomes.Message, key: str | None = None) -> dict[bytes, bytes]:
        """The signed entry of `message` on `stream` (the stream's short name: `orders`, `outcomes`).

        `key` is for a message that may have been signed before the keys changed: one of `key_ids`.
        """
        body = self._encoder.encode(message)
        key = key or self._keyring.current
        return {b"m": body, b"k": key.encode(), b"s": self._signature(key, stream, body)}

    def fact(self, fields: Fields) -> facts.Fact | Refused:
        """The fact in an entry of the orders stream."""
        return self._read("orders", fields, self._facts)

    def outcome(self, fields: Fields) -> outcomes.Message | Refused:
        """The outcome or observation in an entry of the outcomes stream."""
        return self._read("outcomes", fields, self._outcomes)

    def seal(self, name: str, content: bytes) -> bytes:
        """`content` with key id and signature before it, for what is kept under `name` and is no entry of a stream."""
        key = self._keyring.current
        return b" ".join((key.encode(), self._signature(key, name, content), content))

    def opened(self, name: str, sealed: bytes) -> bytes | None:
        """What `seal` sealed under that name; `None` when the signature is not a sound one of ours."""
        key, signature, content = (*sealed.split(b" ", 2), b"", b"", b"")[:3]
        known = key.decode("ascii", "replace")
        if known not in self._keyring.keys or not hmac.compare_digest(signature, self._signature(known, name, content)):
            return None
        return content

    def _read(self, stream: str, fields: Fields, decoder: "msgspec.json.Decoder[T]") -> T | Refused:
        body, key, signature = fields.get(b"m"), fields.get(b"k", b"").decode("ascii", "replace"), fields.get(b"s")
        if body is None or signature is None:
            return Malformed("no message or no signature in the entry")
        if not KEY_ID.fullmatch(key):
            return Malformed("the key id in the entry is none that a key can have")
        if key not in self._keyring.keys:
            return RetiredKey(key) if key in self._keyring.retired else UnknownKey(key)
        if not hmac.compare_digest(signature, self._signature(key, stream, body)):
            return BadSignature(key)
        return self._decode(body, decoder)

    def _decode(self, body: bytes, decoder: "msgspec.json.Decoder[T]") -> T | Refused:
        try:
            return decoder.decode(body)
        except (msgspec.DecodeError, ValueError) as error:
            return self._why(body, error)

    def _why(self, body: bytes, error: Exception) -> Refused:
        try:
            kind = self._header.decode(body).kind
        except (msgspec.DecodeError, ValueError):
            return Malformed(str(error))
        return Malformed(str(error)) if kind in KINDS else UnknownKind(kind[:64])

    def _signature(self, key: str, stream: str, body: bytes) -> bytes:
        scope = f"{self._namespace}\0{stream}\0".encode()
        return hmac.new(self._keyring.keys[key], scope + body, hashlib.sha256).hexdigest().encode()


def _tags(union: object) -> set[str]:
    return {str(member.__struct_config__.tag) for member in getattr(union, "__args__", ())}


KINDS: frozenset[str] = frozenset(_tags(facts.Fact) | _tags(outcomes.Message))
"""Every kind ever released; none is reused."""


class Place(Struct, frozen=True, kw_only=True):
    """Where one reader stands: the entry it has passed and, per producer, the sequence of the last fact passed."""

    entry: str = "0-0"
    seqs: Mapping[str, int] = {}


def moved(place: Place, passed: Place | None) -> Place:
    """The place of a reader that has passed this too; an older entry, or none, moves nothing."""
    if passed is None or entry_order(passed.entry) <= entry_order(place.entry):
        return place
    return Place(entry=passed.entry, seqs={**place.seqs, **passed.seqs})


class Next(Struct, frozen=True):
    """The entry is the one that follows."""


class Redelivered(Struct, frozen=True):
    """The entry was passed before: it is pending, or came back with a restart of the server."""


class Replayed(Struct, frozen=True):
    """A sequence that was passed under a lower entry id: a copy. It trades nothing."""

    seq: int
    passed: int


class Removed(Struct, frozen=True):
    """Facts between the last one passed and this one are not in the stream any more."""

    expected: int
    seq: int


def standing(place: Place, entry: str, producer: str, seq: int) -> Next | Redelivered | Replayed | Removed:
    """How an entry relates to the place of its reader. A new producer starts at 1."""
    if entry_order(entry) <= entry_order(place.entry):
        return Redelivered()
    passed = place.seqs.get(producer, 0)
    if seq <= passed:
        return Replayed(seq, passed)
    return Next() if seq == passed + 1 else Removed(passed + 1, seq)


def entry_order(entry: str) -> tuple[int, int]:
    """An entry id as a pair that sorts the way Redis sorts it."""
    milliseconds, _, number = entry.partition("-")
    return int(milliseconds), int(number or 0)


def entry_before(entry: str) -> str:
    """The highest id below an entry's, for a group that is to read from that entry on."""
    milliseconds, number = entry_order(entry)
    if number:
        return f"{milliseconds}-{number - 1}"
    return f"{milliseconds - 1}-{_LAST_NUMBER}" if milliseconds else "0-0"


def entry_time(entry: str) -> datetime:
    """When an entry was added, by the Redis server's clock, in whole milliseconds, from its id.

    Whoever may add to a stream may choose the id: one beyond the year 9998 counts as that year's end.
    """
    return _EPOCH + timedelta(milliseconds=min(entry_order(entry)[0], _LAST_MS))
