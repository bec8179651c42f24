"""What was told of an account, from any whole on, makes the same memory; and it wants what has no end."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from archiver.originals import Original
from deploy.recollection import Ended, Origin, Recollection, begun, sound
from executor.book import Debt, Link, Part
from executor.remembering import stated
from shared.facts import Fact, OrderEnded, OrderPlaced, PositionClosed, PositionOpened, objects
from shared.outcomes import Kept, Lacking, Memory, Notice, Outcome, Pending
from shared.wire import BadSignature, Malformed, Refused, RetiredKey, UnknownKey, UnknownKind
from tests.archiver.entries import CODEC, fact
from tests.executor.accounts import ZERO
from tests.shared.samples import amount, exposure, header, placed

NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
END: dict[str, Any] = {"account": "a", "captured": NOW, "read": NOW, "committed": NOW}
SOURCES = ["demo"]
PRODUCER = "outbox-1"


def whole(links: dict[str, bytes], debts: dict[str, bytes] | None = None, **passed: int) -> Kept:
    raw = {key: Raw(value) for key, value in links.items()}
    owed = {key: Raw(value) for key, value in (debts or {}).items()}
    return Kept(account="a", seen=NOW, whole=True, memory=Memory(links=raw, debts=owed, passed=passed))


def change(**links: bytes | None) -> Memory:
    return Memory(links={key: Raw(b"null" if value is None else value) for key, value in links.items()})


keys = st.sampled_from("xyz")
values = st.none() | st.integers(0, 9).map(lambda n: b"%d" % n)


@given(st.lists(st.dictionaries(keys, values, max_size=2), max_size=12), st.data())
def test_from_whichever_whole_on_the_memory_is_the_same(changes: list[dict[str, bytes | None]], data: Any) -> None:
    held: dict[str, bytes] = {}
    told: list[Kept] = [whole({})]
    for links in changes:
        held = {key: value for key, value in {**held, **links}.items() if value is not None}
        told.append(Kept(account="a", seen=NOW, memory=change(**links)))
        if data.draw(st.booleans()):
            told.append(whole(held))
    wholes = [n for n, kept in enumerate(told) if kept.whole]
    start = data.draw(st.sampled_from(wholes))
    found = begun("a", SOURCES, f"{start + 1}-0", told[start])
    for number, kept in enumerate(told):
        found.take(f"{number + 1}-0", kept)
    assert found.links == held


def test_of_what_came_before_the_whole_only_ends_count() -> None:
    found = begun("a", SOURCES, "5-0", whole({"x": b"1"}))
    found.take("4-0", Outcome(fact="f", result="filled", memory=change(x=b"0", y=b"2"), **END))
    assert (found.links, found.ended("f"), found.ended("g")) == ({"x": b"1"}, True, False)


def test_what_the_state_says_is_the_newest_that_was_told() -> None:
    found = begun("a", SOURCES, "5-0", whole({}))
    found.take("6-0", stated("a", {"joined": "this", "identity": "1@D", "mode": "x"}, NOW))
    found.take("7-0", stated("a", {"joined": "that"}, NOW))
    assert found.state == {"joined": "that", "identity": "1@D"}
    found.take("8-0", whole({}))
    assert found.state == {}


def owing(name: str) -> dict[str, bytes]:
    debt = Debt(link="x", fact=name, entry="1-0", target=ZERO, since=NOW, captured=NOW)
    return {"x": msgspec.json.encode(debt)}


def wants(found: Recollection, of: Fact) -> bool:
    return found.wanting()(of)


def test_it_wants_what_it_had_not_passed_and_what_had_no_end() -> None:
    first, second, third, fourth = (fact(n) for n in range(1, 5))
    found = begun("a", SOURCES, "5-0", whole({}, owing(second.id), **{PRODUCER: 2}))
    found.take("4-0", Pending(fact=first.id, account="a", state="unresolved", since=NOW))
    found.take("6-0", Outcome(fact=third.id, result="filled", memory=Memory(passed={PRODUCER: 3}), **END))
    assert [wants(found, f) for f in (first, second, third, fourth)] == [True, False, False, True]
    assert found.passed == {PRODUCER: 3}
    found.take("7-0", Outcome(fact=first.id, result="filled", **END))
    assert not wants(found, first)
    assert found.ends[third.id, 1] == Ended("filled", NOW)


def test_it_wants_nothing_of_other_sources_and_nothing_from_before_it_joined() -> None:
    found = begun("a", ["another"], "5-0", whole({}))
    assert not wants(found, fact(1))
    assert not wants(begun("a", SOURCES, "5-0", whole({}, {}, **{PRODUCER: 9})), fact(9))


def test_a_fact_that_was_passed_while_its_outcome_was_not_archived_is_wanted() -> None:
    found = begun("a", SOURCES, "5-0", whole({}))
    found.take("7-0", Outcome(fact=fact(2).id, result="filled", memory=Memory(passed={PRODUCER: 2}), **END))
    assert wants(found, fact(1))


def test_links_of_which_nothing_is_ours_are_not_open() -> None:
    part = Part(ticket=1, identifier=1, volume=amount("1").held, side="buy")
    links = [Link(key="x", instrument="i", symbol="s", parts=(part,)), Link(key="y", instrument="i", symbol="s")]
    found = begun("a", SOURCES, "5-0", whole({link.key: msgspec.json.encode(link) for link in links}))
    assert [link.key for link in found.open_links()] == ["x"]


def original(of: Fact, number: int = 0) -> Original:
    return Original(f"1-{number}", of.id, CODEC.entry("orders", of))


def test_a_source_s_picture_has_the_newest_of_each_living_object() -> None:
    opened = PositionOpened(**header(id="o", seq=1, exposure=exposure(amount(), amount("1"))))
    resting = placed(seq=2, exposure=exposure(amount(), amount(), position="o2"))
    closed = PositionClosed(**header(id="c", seq=3, exposure=exposure(amount("1"), amount(), 2)))
    over = OrderEnded(
        **header(id="e", seq=4, exposure=resting.exposure), order=resting.order, reason="canceled"
    )  # fmt: skip
    found = Origin()
    beginning: tuple[Fact, ...] = (opened, resting)
    for number, each in enumerate(beginning):
        found.take(original(each, number), each)
    names = {f"{f.account}/{name}" for f in (opened, resting) for name, lives in objects(f) if lives}
    assert set(found.pictures["demo"]) == names
    assert found.lasts[opened.producer][0] == 2
    assert found.lasts[opened.producer][1].split()[:2] == [b"2", b"1-1"]
    ending: tuple[Fact, ...] = (closed, over)
    for number, each in enumerate(ending):
        found.take(original(each, number), each)
    assert found.pictures["demo"] == {}
    assert found.writers == {"demo": opened.producer}
    assert isinstance(resting, OrderPlaced)


@pytest.mark.parametrize(
    ("refusal", "why"),
    [
        (BadSignature("k1"), "nobody of ours has signed it as it is"),
        (UnknownKey("k9"), "signed with key 'k9', which is not in the signing key file"),
        (RetiredKey("k0"), "signed with key 'k0', which was retired"),
        (UnknownKind("new"), "the kind 'new' is newer than this version"),
        (Malformed("no"), "it cannot be read: no"),
    ],
)
def test_what_is_not_sound_is_left_out_and_named(refusal: Refused, why: str) -> None:
    refused: list[str] = []
    assert list(sound([Original("1-0", "row", {})], lambda _fields: refusal, refused.append)) == []
    assert refused == [f"row: {why}"]


def test_what_was_not_there_when_its_turn_came_is_wanted_though_the_account_has_passed_it() -> None:
    missed, passed = (fact(n) for n in (2, 3))
    lacking = (Lacking(missed.producer, 1, 2),)
    kept = Kept(account="a", seen=NOW, whole=True, memory=Memory(passed={missed.producer: 5}))
    found = begun("a", [missed.source], "9-0", kept)
    found.take("4-0", Notice(account="a", reason="removed", text="", seen=NOW, lacking=lacking))

    wants = found.wanting()
    assert (wants(missed), wants(passed)) == (True, False)
    found.take("10-0", Outcome(fact=missed.id, result="ignored", **END))
    assert not found.wanting()(missed)
