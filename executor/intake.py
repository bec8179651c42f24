"""What becomes of an entry before its fact is followed: pure judgement over signature, place and subscription."""

from collections.abc import Container

from msgspec import Struct

from shared import wire
from shared.facts import Fact


class Follow(Struct, frozen=True):
    """Follow this fact. `suspect`: it was delivered before, so it may have been sent."""

    fact: Fact
    suspect: bool


class PassBy(Struct, frozen=True):
    """A fact of a source that the account does not subscribe to."""

    fact: Fact


class Bury(Struct, frozen=True):
    """It can never be followed: a dead letter with a reason."""

    reason: str
    text: str


class Hold(Struct, frozen=True):
    """It cannot be followed now: keep it pending and openings stopped, until a key or an upgrade comes."""

    reason: str
    text: str


class Missing(Struct, frozen=True):
    """Facts before this one are not here: look among what is pending first, then stop openings."""

    fact: Fact
    expected: int


Judgement = Follow | PassBy | Bury | Hold | Missing


def judge(read: Fact | wire.Refused, entry: str, place: wire.Place, sources: Container[str]) -> Judgement:
    """The judgement on an entry as it was read, for an account at `place`."""
    match read:
        case wire.Malformed():
            return Bury("malformed", read.text)
        case wire.BadSignature():
            return Bury("bad-signature", f"the signature is not the one of key {read.key}")
        case wire.RetiredKey():
            return Bury("retired-key", f"signed with key {read.key!r}, which was retired")
        case wire.UnknownKey():
            return Hold("unknown-key", f"signed with key {read.key!r}, which is not in the signing key file")
        case wire.UnknownKind():
            return Hold("unknown-kind", f"a fact of kind {read.kind!r}: this version is too old for it")
        case _:
            return _sound(read, wire.standing(place, entry, read.producer, read.seq), sources)


def _sound(
    fact: Fact, standing: wire.Next | wire.Redelivered | wire.Replayed | wire.Removed, sources: Container[str]
) -> Judgement:
    match standing:
        case wire.Replayed():
            text = f"sequence {standing.seq} of {fact.producer} was passed before (up to {standing.passed})"
            return Bury("replayed", text)
        case wire.Removed():
            return Missing(fact, standing.expected)
        case wire.Next() | wire.Redelivered() if fact.source not in sources:
            return PassBy(fact)
        case wire.Next():
            return Follow(fact, suspect=False)
        case wire.Redelivered():
            return Follow(fact, suspect=True)
