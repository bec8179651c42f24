"""What a change makes of how far an account has read is what Redis then says of it, whatever came before."""

from hypothesis import given
from hypothesis import strategies as st

from executor import sealing
from executor.change import Change, End, Standing, Work, dead_letter
from shared import groups
from shared.streams import Entry
from shared.wire import Place, entry_order

IDS = st.integers(1, 9).map(lambda n: f"{n}-0")
SEQS = st.dictionaries(st.sampled_from(["p", "q"]), st.integers(1, 9), max_size=2)
ENDS = st.lists(st.builds(End, entry=st.none() | IDS, work=st.none() | st.just(Work(fact="f"))), max_size=3)
PASSED = st.none() | st.builds(lambda entry, seqs: Place(entry=entry, seqs=seqs), IDS, SEQS)
CHANGES = st.lists(
    st.builds(
        lambda e, n, p, h: Change(entry=e, ends=n, passed=p, held=h), st.none() | IDS, ENDS, PASSED, st.booleans()
    ),
    max_size=8,
)


@given(CHANGES)
def test_redis_says_of_the_place_what_the_lane_believes(changes: list[Change]) -> None:
    standing, stored = Standing(), {name: value.encode() for name, value in groups.fields(Place()).items()}
    for change in changes:
        after = standing.after(change)
        for name, value in after.since(standing).items():
            if value is None:
                del stored[name]
            else:
                stored[name] = value
        standing = after
        waits = {f"{sealing.WAITS}{entry}": b"1" for entry in standing.parked}
        assert stored == {name: value.encode() for name, value in groups.fields(standing.place).items()} | waits
        assert sealing.placed(stored) == stored, "all of it is under the seal"


@given(CHANGES)
def test_the_place_only_goes_on_and_what_is_ended_waits_no_more(changes: list[Change]) -> None:
    standing = Standing()
    for change in changes:
        after = standing.after(change)
        assert entry_order(after.place.entry) >= entry_order(standing.place.entry)
        assert not after.parked & {end.entry for end in change.ends}
        assert after.parked - standing.parked <= {change.entry}
        standing = after


def test_an_entry_that_is_passed_without_an_end_waits_until_it_has_one() -> None:
    passed = Place(entry="2-0", seqs={"p": 1})
    waiting = Standing().after(Change(entry="2-0", passed=passed))
    assert waiting == Standing(passed, frozenset({"2-0"}))
    assert waiting.after(Change(messages=[])) == waiting
    assert waiting.after(Change(entry="2-0", passed=passed, ends=[End(entry="2-0")])) == Standing(passed)


def test_a_fact_has_ended_when_its_entry_and_its_number_were_passed_and_it_does_not_wait() -> None:
    standing = Standing(Place(entry="4-0", seqs={"p": 3}), frozenset({"3-0"}))
    assert standing.has_ended("4-0", "p", 3)
    assert standing.has_ended("1-0", "p", 1)
    assert not standing.has_ended("3-0", "p", 2), "it waits"
    assert not standing.has_ended("5-0", "p", 3), "it was not read"
    assert not standing.has_ended("2-0", "q", 1), "others were read before it"
    held = Change(entry="4-0", held=True)
    assert not standing.after(held).has_ended("4-0", "p", 3)
    assert standing.after(held).place == standing.place, "it is read again, in its turn"


def test_a_dead_letter_has_the_entry_as_it_came_and_who_gave_it_up() -> None:
    fields = dead_letter(Entry("1-1", {b"m": b"\xff"}), "main", "malformed", "x" * 600)
    assert fields == {b"m": b"\xff", b"reader": b"main", b"entry": b"1-1", b"reason": b"malformed", b"text": b"x" * 500}
