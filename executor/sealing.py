"""Pure: one seal over all that an account remembers and that makes a trade, so that nobody without the signing key can
change, remove, mix or move any of it.

What is remembered stays readable; the seal beside it is signed over a digest of the whole: every link, every debt, how
far the account has read, and the fields of the state that say what is to be opened or closed. Each commit writes the
seal of what it leaves, so an older memory is only believed as a whole, which is what a failover that lost writes leaves
behind as well; what was delivered since is then followed once more, and found where it was sent.
"""

import re
from collections.abc import Mapping
from hashlib import sha256
from zlib import crc32

from msgspec import Struct

from executor.remembering import WORTH_KEEPING
from shared.wire import Codec

Stored = Mapping[str, str] | Mapping[str, bytes]

FIELD = "seal"
"""Where the seal is kept: a field of the account's place."""

PARTS = ("place", "state", "links", "debts")
"""The parts of a memory of which something is under the seal."""
STATED = (*(name for name in WORTH_KEEPING if name != "identity"), "flattened", "rearmed", "stopped")
"""The fields of an account's state that are under the seal: what it is not to follow, what its limits are measured
from, what was done of an operator's orders, and what has stopped its openings. Its login is not: what a terminal says
decides about that.
"""
WAITS = "parked:"
"""Before the id of an entry in the account's place: it was passed, and what became of its fact is not known yet."""
PLACED = re.compile(f"entry|(seq:|{WAITS}).*", re.DOTALL)
"""The fields of its place that are: how far it has read, and what waits."""
SHARES = 16
"""In so many shares the values of a part are digested, so that a commit to one of thousands costs little."""


class Values(Struct, frozen=True):
    """The digests of the values in one part of the memory, by field and in shares; and one of each share."""

    shares: tuple[Mapping[str, bytes], ...] = ({},) * SHARES
    digests: tuple[bytes, ...] = (sha256().digest(),) * SHARES

    def changed(self, part: str, values: Mapping[str, bytes | None]) -> "Values":
        """With these values; None: forgotten."""
        shares, digests = list(self.shares), list(self.digests)
        for number in {_share(field) for field in values}:
            share = dict(shares[number])
            for field, value in ((f, v) for f, v in values.items() if _share(f) == number):
                share.pop(field, None)
                if value is not None:
                    share[field] = _digest(part, field, value)
            shares[number], digests[number] = share, sha256(b"".join(sorted(share.values()))).digest()
        return Values(tuple(shares), tuple(digests))


def _share(field: str) -> int:
    return crc32(field.encode("utf-8", "surrogatepass")) % SHARES


EMPTY = Values()


class Contents(Struct, frozen=True):
    """What is under the seal, by the part of the memory it is in. A commit changes little of it, in one part or two."""

    parts: Mapping[str, Values] = {}

    def changed(self, part: str, values: Mapping[str, bytes | None]) -> "Contents":
        """With these values in a part of the memory; None: forgotten."""
        if not values:
            return self
        return Contents({**self.parts, part: self.parts.get(part, EMPTY).changed(part, values)})

    def without(self, *parts: str) -> "Contents":
        """As if nothing was in these parts of the memory."""
        return Contents({part: values for part, values in self.parts.items() if part not in parts})

    def digest(self) -> bytes:
        """Of all of it; no two different contents have the same."""
        digests = (digest for part in PARTS for digest in self.parts.get(part, EMPTY).digests)
        return sha256(b"".join(digests)).hexdigest().encode()


def _digest(part: str, field: str, value: bytes) -> bytes:
    name = f"{part}/{field}".encode()
    return sha256(len(name).to_bytes(8, "big") + name + value).digest()


def contents(place: Stored, state: Stored, links: Mapping[str, bytes], debts: Mapping[str, bytes]) -> Contents:
    """What is under the seal of a memory as Redis has it; `place` and `state` are all that the account has there."""
    found = Contents().changed("place", placed(place)).changed("state", stated(state))
    return found.changed("links", links).changed("debts", debts)


def placed(place: Stored) -> dict[str, bytes]:
    """What of an account's place is under the seal."""
    return {name: _bytes(value) for name, value in place.items() if PLACED.fullmatch(name)}


def stated(state: Stored) -> dict[str, bytes]:
    """What of an account's state is under the seal."""
    return {name: _bytes(state[name]) for name in STATED if name in state}


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


def scope(account: str) -> str:
    """The name under which an account's memory is sealed."""
    return f"account:{account}"


def sealed(codec: Codec, account: str, found: Contents) -> bytes:
    """The seal of an account that remembers this."""
    return codec.seal(scope(account), found.digest())


def flaw(codec: Codec, account: str, found: Contents, seal: bytes | None) -> str | None:
    """Why what is remembered of an account is not believed, and what to do; None when it is what was sealed.

    Nothing at all has to be sealed too: whoever takes all away, with the seal, would else have it join anew.
    """
    if seal is None:
        return f"{_SAYS} has no seal: an older version wrote it, or a stranger; {_look(account)}"
    key = seal.partition(b" ")[0].decode("ascii", "replace")
    content = codec.opened(scope(account), seal)
    if content is None and key not in codec.key_ids:
        return (
            f"{_SAYS} is sealed with key {key[:64]!r}, which the signing key file here does not have or has retired: "
            f"copy the file; if the key was stolen, {_look(account)}"
        )
    if content != found.digest():
        return f"{_SAYS} is not what was sealed: an older version or a stranger has changed it; {_look(account)}"
    return None


_SAYS = "nothing is sent, what Redis remembers of it"


def _look(account: str) -> str:
    restore = f"`tradecopier restore --account {account}` brings back what the archive has"
    return f"{restore}, or `tradecopier account seal {account}` shows it and seals it as it is"
