"""Every entry gets a judgement, and only a sound next one of a source that is subscribed to is followed."""

import pytest

from executor.intake import Bury, Follow, Hold, Judgement, Missing, PassBy, judge
from shared import wire
from shared.wire import Place
from tests.shared.samples import placed

PLACE = Place(entry="5-0", seqs={"outbox-1": 3})
NEXT = placed(seq=4)

CASES: dict[str, tuple[object, str, Judgement]] = {
    "the next fact": (NEXT, "6-0", Follow(NEXT, suspect=False)),
    "one that was delivered before": (NEXT, "5-0", Follow(NEXT, suspect=True)),
    "one of another source": (placed(seq=4, source="other"), "6-0", PassBy(placed(seq=4, source="other"))),
    "one after a hole": (placed(seq=6), "6-0", Missing(placed(seq=6), 4)),
    "one of another source after a hole": (
        placed(seq=6, source="other"), "6-0", Missing(placed(seq=6, source="other"), 4),
    ),
    "a copy": (placed(seq=3), "6-0", Bury("replayed", "sequence 3 of outbox-1 was passed before (up to 3)")),
    "one that cannot be read": (wire.Malformed("no"), "6-0", Bury("malformed", "no")),
    "a forged one": (wire.BadSignature("k1"), "6-0", Bury("bad-signature", "the signature is not the one of key k1")),
    "one with a key to come": (
        wire.UnknownKey("k2"), "6-0", Hold("unknown-key", "signed with key 'k2', which is not in the signing key file"),
    ),
    "one of a newer version": (
        wire.UnknownKind("x"), "6-0", Hold("unknown-kind", "a fact of kind 'x': this version is too old for it"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("read", "entry", "judgement"), CASES.values(), ids=CASES)
def test_judges(read: object, entry: str, judgement: Judgement) -> None:
    assert judge(read, entry, PLACE, {"demo"}) == judgement  # type: ignore[arg-type]
