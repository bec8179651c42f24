"""What was told of an account, from any whole on, makes the same memory; and it wants what has no end."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
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
    assert found.links == {"x": b"1"}
    assert list(found.ends) == [("f", 1)]


def test_what_the_state_says_is_the_newest_that_was_told() -> None:
    found = begun("a", SOURCES, "5-0", whole({}))
    found.take("6-0", stated("a", {"joined": "this", "identity": "1@D", "mode": "x"}, NOW))
    found.take("7-0", stated("a", {"joined": "that"}, NOW))
    assert found.state == {"joined": "that", "identity": "1@D"}
    found.take("8-0", whole({}))
    assert found.state == {}


def test_an_account_that_was_taken_out_without_a_word_about_it_is_removed_and_what_it_held_is_known() -> None:
    found = begun("a", SOURCES, "5-0", whole({"x": b"1"}))
    found.take("6-0", Kept(account="a", seen=NOW, memory=Memory(), removed=True))
    assert (found.removed, found.links) == (True, {"x": b"1"})
    found.take("7-0", whole({}))
    assert not found.removed


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
    assert found.ends[third.id, 1] == Ended("filled", NOW, "6-0")


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


def test_an_end_counts_no_more_when_its_fact_waits_in_a_whole_that_was_told_since() -> None:
    """It was parked, so the whole has passed it; and nobody has told yet that it is under way again."""
    waiting, over = fact(1), fact(2)
    told = msgspec.structs.replace(whole({}, {}, **{PRODUCER: 2}), lacking=(Lacking(PRODUCER, 1, 1),))
    found = begun("a", SOURCES, "5-0", told)
    found.take("2-0", unresolved(waiting))
    found.take("3-0", filled(waiting))
    found.take("4-0", filled(over))
    assert [wants(found, f) for f in (waiting, over)] == [True, False]
    found.take("6-0", filled(waiting))
    assert not wants(found, waiting)
    found.take("7-0", whole({}, {}, **{PRODUCER: 2}))
    assert not wants(found, waiting)


def test_what_waited_when_the_account_was_taken_out_is_over_for_it() -> None:
    parked, missed, held, since = (fact(n) for n in (1, 2, 3, 4))
    found = begun("a", SOURCES, "9-0", whole({}))
    for entry, message in (
        ("1-0", unresolved(parked)),
        ("2-0", Notice(account="a", reason="removed", text="", seen=NOW, lacking=(Lacking(PRODUCER, 2, 2),))),
        ("3-0", filled(held)),
    ):
        found.take(entry, message)
    assert all(wants(found, each) for each in (parked, missed, held, since))
    found.take("4-0", msgspec.structs.replace(whole({}, {}, **{PRODUCER: 3}), removed=True))
    assert [wants(found, each) for each in (parked, missed, held, since)] == [False, False, False, True]
    found.take("5-0", unresolved(since))
    found.part("4-0", {})
    assert (found.left, found.states) == ({PRODUCER: 3}, {(since.id, 1): "5-0"})


@pytest.mark.parametrize("when", ["before", "after"])
def test_what_was_told_before_an_account_was_taken_out_counts_no_more_whenever_it_is_read(when: str) -> None:
    found = begun("a", SOURCES, "9-0", whole({}, {}, **{PRODUCER: 3}))
    if when == "before":
        found.take("1-0", unresolved(fact(1)))
    found.part("4-0", {PRODUCER: 3})
    if when == "after":
        found.take("1-0", unresolved(fact(1)))
    assert not wants(found, fact(1))


def filled(of: Fact) -> Outcome:
    return Outcome(fact=of.id, result="filled", **END)


def unresolved(of: Fact) -> Pending:
    return Pending(fact=of.id, account="a", state="unresolved", since=NOW)


def test_an_end_that_a_failover_forgot_counts_no_more() -> None:
    """What it gave is not in the memory that the successor's executor began with."""
    kept_one, forgotten = fact(1), fact(2)
    found = begun("a", SOURCES, "5-0", whole({}, {}, **{PRODUCER: 1}))
    found.take("3-0", filled(kept_one))
    found.take("4-0", filled(forgotten))
    assert [wants(found, f) for f in (kept_one, forgotten)] == [False, True]
    found.take("6-0", filled(forgotten))
    assert not wants(found, forgotten)


def test_a_fact_that_is_under_way_again_after_a_failover_has_not_ended() -> None:
    """It was parked before the failover, so the successor had passed it, and its end was forgotten."""
    parked, over = fact(1), fact(2)
    found = begun("a", SOURCES, "5-0", whole({}, {}, **{PRODUCER: 2}))
    for entry, message in (
        ("1-0", unresolved(parked)),
        ("2-0", unresolved(over)),
        ("3-0", filled(parked)),
        ("4-0", filled(over)),
    ):
        found.take(entry, message)
    assert [wants(found, f) for f in (parked, over)] == [False, False]
    found.take("6-0", unresolved(parked))
    found.take("3-0", filled(parked))  # read again, as its whole story is
    found.take("6-0", unresolved(parked))
    assert [wants(found, f) for f in (parked, over)] == [True, False]
    assert (found.over(parked.id, 1), found.over(over.id, 1)) == (False, True)


def test_what_another_writer_stated_again_had_ended_when_the_account_had_passed_its_first_statement() -> None:
    first = fact(1)
    again = msgspec.structs.replace(first, producer="outbox-2", seq=7)
    found = begun("a", SOURCES, "5-0", whole({}, {}, **{PRODUCER: 1}))
    found.take("4-0", filled(first))
    wanting = found.wanting()
    assert [wanting(f) for f in (first, again)] == [False, False]
    assert not wants(found, again), "though the first statement is not in the stream any more"


def test_what_one_restore_had_to_be_followed_again_is_wanted_by_the_next_one_until_it_ends_anew() -> None:
    """The memory that was begun with after the first one has passed everything."""
    one, other = fact(1), fact(2)
    found = begun("a", SOURCES, "9-0", whole({}, {}, **{PRODUCER: 2}))
    for each in (one, other):
        found.take("4-0", filled(each))
    found.take("5-0", whole({}, {}, **{PRODUCER: 1}))
    found.take("8-0", Notice(account="a", reason="restored", text="", seen=NOW, lacking=(Lacking(PRODUCER, 2, 2),)))
    found.take("9-0", whole({}, {}, **{PRODUCER: 2}))
    assert [wants(found, f) for f in (one, other)] == [False, True]
    found.take("10-0", filled(other))
    assert not wants(found, other)


def test_what_an_old_backup_has_forgotten_and_no_outbox_had_is_wanted_although_it_was_passed_by_since() -> None:
    found = begun("a", SOURCES, "9-0", whole({}, {}, **{PRODUCER: 5}))
    found.take("3-0", filled(fact(3)))
    found.take("4-0", whole({}, {}, **{PRODUCER: 2}))
    found.take("8-0", Notice(account="a", reason="removed", text="", seen=NOW, lacking=(Lacking(PRODUCER, 3, 4),)))
    assert [wants(found, fact(n)) for n in (3, 4, 5)] == [True, True, False]


def test_what_was_missing_had_ended_if_another_statement_of_it_was_there() -> None:
    found = begun("a", SOURCES, "9-0", whole({}, {}, **{PRODUCER: 2}))
    found.take("4-0", filled(fact(2)))
    found.take("8-0", Notice(account="a", reason="removed", text="", seen=NOW, lacking=(Lacking(PRODUCER, 1, 2),)))
    assert [wants(found, fact(n)) for n in (1, 2)] == [True, False]


seqs = st.integers(0, 4)


@given(st.lists(seqs | st.tuples(seqs), max_size=8), seqs)
@example([(0,), 4, 0], 2)
@example([(0,), 4, 1], 2)
def test_an_end_counts_if_every_whole_that_was_told_after_it_has_passed_its_fact(story: list[Any], seq: int) -> None:
    """A story of ends (a tuple: the last one matters) and of what wholes had passed (0: the producer was not known)."""
    found, later = begun("a", SOURCES, "0-1", whole({})), [0]
    of = fact(seq + 1)
    over = False
    for number, each in enumerate(story, 1):
        if isinstance(each, tuple):
            found.take(f"{number}-0", filled(of))
            over, later = True, []
        else:
            found.take(f"{number}-0", whole({}, {}, **({PRODUCER: each} if each else {})))
            later.append(each)
    counts = over and all(of.seq <= passed for passed in later)
    found.base = {}
    assert wants(found, of) == (not counts)
