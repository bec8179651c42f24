"""Pure: one seal over all that an account remembers and that makes a trade, so that nobody without the signing key can
change, remove, mix or move any of it.

What is remembered stays readable; the seal beside it is signed over a digest of the whole: every link, every debt, and
the fields of the state that say what is to be opened or closed. Each commit writes the seal of what it leaves, so an
older memory is only believed as a whole, which is what a failover that lost writes leaves behind as well.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from hashlib import sha256

from msgspec import Struct

from executor.remembering import WORTH_KEEPING
from shared.wire import Codec

FIELD = "seal"
"""Where the seal is kept: a field of the account's place."""

STATED = (*(name for name in WORTH_KEEPING if name != "identity"), "flattened", "rearmed")
"""The fields of an account's state that are under the seal: what it is not to follow, what its limits are measured
from, and what was done of an operator's orders. Its login is not: what a terminal says decides about that.
"""


class Contents(Struct, frozen=True):
    """What is under the seal: a digest of each value with its name, by the part of the memory and the field in it.

    `order` are the digests in their own order, kept because all of them are gone through with each commit.
    """

    digests: Mapping[tuple[str, str], bytes] = {}
    order: Sequence[bytes] = ()

    def changed(self, part: str, values: Mapping[str, bytes | None]) -> "Contents":
        """With these values in a part of the memory; None: forgotten."""
        if not values:
            return self
        digests, order = dict(self.digests), list(self.order)
        for field, value in values.items():
            before = digests.pop((part, field), None)
            if before is not None:
                del order[bisect_left(order, before)]
            if value is not None:
                digests[part, field] = _digest(part, field, value)
                insort(order, digests[part, field])
        return Contents(digests, order)

    def only(self, part: str) -> "Contents":
        """Of one part of the memory alone."""
        digests = {name: digest for name, digest in self.digests.items() if name[0] == part}
        return Contents(digests, sorted(digests.values()))

    def digest(self) -> bytes:
        """Of all of it; no two different contents have the same."""
        return sha256(b"".join(self.order)).hexdigest().encode()


def _digest(part: str, field: str, value: bytes) -> bytes:
    name = f"{part}/{field}".encode()
    return sha256(len(name).to_bytes(8, "big") + name + value).digest()


def contents(
    links: Mapping[str, bytes], debts: Mapping[str, bytes], state: Mapping[str, str] | Mapping[str, bytes]
) -> Contents:
    """What is under the seal of a memory as Redis has it; `state` is all of the account's state."""
    return Contents().changed("links", links).changed("debts", debts).changed("state", stated(state))


def stated(state: Mapping[str, str] | Mapping[str, bytes]) -> dict[str, bytes]:
    """What of an account's state is under the seal."""
    found = {name: state[name] for name in STATED if name in state}
    return {name: value if isinstance(value, bytes) else value.encode() for name, value in found.items()}


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
