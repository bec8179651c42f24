"""What has to wait for a fact of an unknown end, and what does not."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as replace_fact

from executor.attempt import Attempt, Grace
from executor.book import Link, Part
from executor.change import Change, End, Work
from executor.parking import MOST, Parked, Parking
from executor.reasons import Denied, Reason
from executor.results import Done, StepResult
from executor.steps import Close, Open, Step
from executor.translate import Plan
from shared.facts import PositionChanged
from shared.wire import entry_order
from tests.shared.samples import FACTS, amount, exposure, placed

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ONE = Decimal(1)
CHANGED = next(fact for fact in FACTS if isinstance(fact, PositionChanged))
PART = Part(ticket=1, identifier=1, volume=ONE, side="buy")


def link(key: str = "a", *parts: Part) -> Link:
    return Link(key=key, instrument="EURUSD", symbol="EURUSD", revision=1, followed=ONE, parts=parts)


def opening(key: str = "a", symbol: str = "EURUSD") -> Open:
    return Open(name="open", link=key, symbol=symbol, side="buy", volume=ONE)


def closing(key: str = "a") -> Close:
    return Close(name="close:1", link=key, ticket=1, symbol="EURUSD", side="buy", volume=ONE)


def parked(entry: str, key: str, *steps: Step, **plan: Any) -> Parked:
    attempt = Attempt(
        work=Work(fact=f"f{entry}"),
        meaning="m",
        fact=placed(),
        link=key,
        steps=list(steps),
        grace=Grace(1.0),
        read=NOW,
        entry=entry,
    )
    return Parked(attempt, placed(), Plan(link=link(key), steps=steps, **plan))


def parking(*facts: Parked) -> Parking:
    lot = Parking()
    for fact in facts:
        lot.put(fact)
    return lot


def test_a_turn_goes_through_all_that_stay_and_is_over_with_the_first_end_after_its_time() -> None:
    lot = parking(*(parked(f"{n}-1", "a", opening()) for n in (3, 1, 2)))
    assert [each.entry for each in lot.turn(0.0)] == ["1-1", "2-1", "3-1"]

    seen = []
    for each in lot.turn(0.0):
        seen.append(each.entry)
        if each.entry == "2-1":
            lot.drop("2-1")
    assert seen == ["1-1", "2-1"]

    for each in lot.turn(60.0):
        lot.drop(each.entry)
    assert not lot


def test_of_very_many_a_turn_goes_through_some_and_the_next_one_goes_on_behind_them() -> None:
    names = [f"{n}-1" for n in range(1, 2 * MOST + 6)]
    lot = parking(*(parked(name, name, opening(name)) for name in names))

    turns = [[each.entry for each in lot.turn(60.0)] for _ in range(3)]

    assert turns[:2] == [names[:MOST], names[MOST : 2 * MOST]]
    assert turns[2] == [*names[2 * MOST :], *names[: MOST - 5]]
    assert [each.entry for each in lot.turn(60.0, idle=True)] == [*names[MOST - 5 :], *names[: MOST - 5]]


def test_where_there_is_nothing_to_read_a_turn_goes_through_as_many_as_its_time_allows() -> None:
    names = [f"{n}-1" for n in range(1, 2 * MOST + 6)]
    lot = parking(*(parked(name, name, opening(name)) for name in names))

    assert len(list(lot.turn(0.0, idle=True))) == MOST
    assert next(lot.turn(0.0, idle=True)).entry == names[MOST]


def test_what_was_dropped_is_forgotten_by_every_name() -> None:
    lot = parking(*(parked(f"{n}-1", "a", opening()) for n in range(1, 4)))

    lot.put(next(iter(lot)))
    for fact in list(lot):
        lot.drop(fact.entry)
        lot.drop(fact.entry)

    assert not lot.on("a")
    assert lot._by_link._rows == lot._by_work._rows == lot._by_symbol._rows == {}
    assert lot._rows == []


def test_the_newest_fact_of_a_position_is_told_to_those_before_it() -> None:
    first, second, other = parked("1-1", "a", opening()), parked("2-1", "a"), parked("3-1", "b")
    lot = parking(second, first, other)

    assert lot.newest(first.attempt) is second.fact
    assert lot.newest(second.attempt) is None
    assert lot.newest(parked("9-1", "c").attempt) is None


def told_naively(lot: list[Parked], asked: Parked) -> tuple[bool, ...]:
    """The answers by going through all of them."""
    before = [p for p in lot if entry_order(p.entry) < entry_order(asked.entry)]
    key, there = asked.attempt.link, link(asked.attempt.link, PART)
    return (
        any(p.attempt.link == key and p.expected is not None for p in before),
        any(p.attempt.link == key and p.expected is not None and _same_order(p, asked) for p in before),
        any(p.expected == "EURUSD" for p in before),
        any(p.attempt.link == key and p.expected is not None for p in lot),
        any(p.attempt.link == key for p in lot),
        there.own != 0,
    )


def _same_order(one: Parked, other: Parked) -> bool:
    return one.order is not None and one.order == other.order


FACTS_PARKED = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "drop", "done"]), st.integers(1, 12), st.sampled_from("abc"),
        st.sampled_from(["opens", "opens elsewhere", "closes", "denied", "position"]),
    ),
    max_size=40,
)  # fmt: skip


@given(FACTS_PARKED, st.integers(1, 12), st.sampled_from("abc"))
def test_whatever_comes_and_goes_the_answers_are_those_of_all_that_are_there(
    events: list[tuple[str, int, str, str]], number: int, key: str
) -> None:
    there: dict[str, Parked] = {}
    lot = Parking()
    for event, place, name, what in events:
        entry = f"{place}-1"
        match event:
            case "put":
                there[entry] = made(entry, name, what)
                lot.put(there[entry])
            case "drop":
                there.pop(entry, None)
                lot.drop(entry)
            case _ if entry in there and there[entry].attempt.steps:
                step = there[entry].attempt.steps[0]
                there[entry].attempt.results[step.name] = StepResult(step, Done(ticket=1))
            case _:
                pass
    asked = replace(made(f"{number}-1", key, "closes"), fact=placed())

    answers = (
        lot.waits(asked, None),
        lot.waits(asked, link(key, PART)),
        lot.unsure(asked.attempt, "EURUSD"),
        lot.expects(key),
        lot.on(key),
        True,
    )
    assert answers == told_naively(list(there.values()), asked)
    assert [p.entry for p in lot] == sorted(there, key=entry_order)


def made(entry: str, key: str, what: str) -> Parked:
    match what:
        case "opens":
            return parked(entry, key, opening(key))
        case "opens elsewhere":
            return parked(entry, key, opening(key, "GBPUSD"))
        case "denied":
            return parked(entry, key, denied=Denied(Reason.FOREIGN_POSITION))
        case "position":
            return replace(parked(entry, key, opening(key)), fact=CHANGED)
        case _:
            return parked(entry, key, closing(key))


def test_openings_of_an_instrument_wait_for_an_older_unknown_one_of_any_position() -> None:
    older, younger, elsewhere = (
        parked("1-1", "a", opening("a")),
        parked("2-2", "b", opening("b")),
        opening("c", "GBPUSD"),
    )
    lot = parking(older, younger)

    assert lot.blocks(younger.attempt, ())(opening("b"))
    assert not lot.blocks(older.attempt, ())(opening("a"))
    assert not lot.blocks(younger.attempt, ())(elsewhere)


def test_an_opening_waits_for_what_its_position_owes() -> None:
    fact = parked("1-1", "a", opening())

    assert parking().blocks(fact.attempt, {"a"})(opening())


def test_an_exit_waits_only_for_what_an_unknown_opening_alone_can_have_made() -> None:
    older, exit_of_it, other = (
        parked("1-1", "a", opening()),
        parked("2-2", "a", closing()),
        parked("3-3", "b", closing("b")),
    )
    exit_of_it.fact = CHANGED
    lot = parking(older)

    assert lot.waits(exit_of_it, None)
    assert lot.waits(exit_of_it, link("a"))
    assert not lot.waits(exit_of_it, link("a", PART))
    assert not lot.waits(other, None)


def test_what_asks_nothing_waits_for_a_reversal_before_it_that_has_still_to_close() -> None:
    """Else the account counts as where the source is, and is flat when that has closed."""
    there, turned = link("a", PART), replace_fact(CHANGED, exposure=exposure(amount("0.1"), amount("-0.1")))
    reversal, addition = replace(parked("1-1", "a", opening()), fact=turned), parked("1-1", "a", opening())
    idle = replace(parked("2-2", "a"), fact=CHANGED)
    exit_of_it = replace(parked("2-2", "a", closing()), fact=CHANGED)
    flat = replace(idle, fact=replace_fact(CHANGED, exposure=exposure(amount("0.1"), amount())))

    assert parking(reversal).waits(idle, there)
    assert not parking(addition).waits(idle, there)
    assert not parking(reversal).waits(exit_of_it, there)
    assert not parking(reversal).waits(flat, there)


def test_nothing_waits_for_an_opening_whose_end_is_known() -> None:
    older, younger = parked("1-1", "a", opening()), parked("2-2", "b", opening("b"))
    older.attempt.results["open"] = StepResult(opening(), Done(ticket=1))

    assert not parking(older).blocks(younger.attempt, ())(opening("b"))
    assert not parking(older).expects("a")


def test_one_that_was_denied_while_something_was_unknown_may_still_be_made() -> None:
    denied = parked("1-1", "a", denied=Denied(Reason.FOREIGN_POSITION))

    assert parking(denied).expects("a")
    assert not parking(denied).expects("a", denied)


def test_a_plan_is_outdated_when_facts_before_it_changed_its_position() -> None:
    fact = parked("1-1", "a", opening())
    fact.base = link("a")

    assert not Parking.outdated(fact, link("a"))
    assert Parking.outdated(fact, link("a", PART))
    assert Parking.outdated(fact, None)


def test_facts_come_oldest_first_and_may_go_meanwhile() -> None:
    lot = parking(parked("10-0", "b", opening("b")), parked("9-9", "a", opening()), parked("10-1", "c", opening("c")))
    seen = []

    for fact in lot:
        seen.append(fact.entry)
        lot.drop("10-0")

    assert seen == ["9-9", "10-1"]
    assert "10-0" not in lot
    assert lot.on("c")
    assert lot


def test_a_fact_that_was_told_again_is_over_with_all_its_entries() -> None:
    first, again, other = (parked(entry, "a", opening()) for entry in ("1-1", "2-1", "3-1"))
    again.attempt.work = first.attempt.work
    lot = parking(first, again, other)

    def over(*ends: End) -> list[str | None]:
        change = Change(ends=ends)
        lot.complete(change)
        assert change.ends[: len(ends)] == list(ends)
        assert not any(end.work for end in change.ends[len(ends) :])
        return [end.entry for end in change.ends[len(ends) :]]

    assert over(End(entry="9-1")) == []
    assert over(End(entry="1-1", work=first.attempt.work)) == ["2-1"]
    assert over(End(work=first.attempt.work)) == ["1-1", "2-1"]
    assert over(End(entry="3-1", work=other.attempt.work)) == []

    lot.take_over(Change(ends=[End(entry="1-1", work=first.attempt.work), End(entry="2-1"), End()]))
    assert [each.entry for each in lot] == ["3-1"]


def test_what_somebody_asked_for_has_a_place_that_is_no_entry_and_is_ended_by_him() -> None:
    asked = parked("0-1", "a", opening())
    change = Change(ends=[End(work=asked.attempt.work)])

    parking(asked).complete(change)

    assert change.ends == [End(work=asked.attempt.work)]
