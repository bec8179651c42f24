"""A disagreement counts once it has lasted unchanged, is told once, and is over when it could be seen and was not."""

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from executor.drift import Found
from executor.steady import STEADY, Steady, Turn, turned
from tests.executor.mends import NOW

SECOND = timedelta(seconds=1)
ONE = Found(
    identity="stray:1", what="stray", position="", symbol="EURUSD", expected=Decimal(0), actual=Decimal(1),
    text="position 1", remedy="close it", since=NOW,
)  # fmt: skip


def seen(at: timedelta, actual: int = 1) -> Found:
    return replace(ONE, since=NOW + at, actual=Decimal(actual))


def looks(*found: tuple[timedelta, list[Found]], known: Steady | None = None) -> list[Turn]:
    turns = []
    known = known or Steady()
    for at, there in found:
        turns.append(turned(known, there, (), NOW + at))
        known = turns[-1].after
    return turns


def test_it_is_told_when_it_has_lasted_and_only_once() -> None:
    first, second, third = looks(*((at, [seen(at)]) for at in (0 * SECOND, STEADY, 2 * STEADY)))

    assert (first.began, second.began, third.began) == ((), (ONE,), ())
    assert second.began[0].since == NOW, "it began when it was seen first"
    assert (third.ended, third.changed) == ((), ())


def test_what_goes_before_it_is_certain_was_none() -> None:
    first, gone = looks((0 * SECOND, [seen(0 * SECOND)]), (STEADY, []))

    assert (first.began, gone.began, gone.ended) == ((), (), ())
    assert gone.after == Steady()


def test_what_changes_is_waited_for_anew() -> None:
    turns = looks((0 * SECOND, [seen(0 * SECOND)]), (STEADY, [seen(STEADY, 2)]), (2 * STEADY, [seen(2 * STEADY, 2)]))

    assert [len(turn.began) for turn in turns] == [0, 0, 1]
    assert turns[-1].began[0].since == NOW + STEADY


def test_it_is_over_when_it_is_not_seen_any_more() -> None:
    (over,) = looks((STEADY, []), known=Steady(certain={ONE.identity: ONE}))

    assert over.ended == (ONE,)
    assert over.after == Steady()


def test_one_that_is_certain_keeps_its_beginning_when_its_numbers_change() -> None:
    (turn,) = looks((STEADY, [seen(STEADY, 2)]), known=Steady(certain={ONE.identity: ONE}))

    assert (turn.began, turn.ended) == ((), ())
    assert turn.changed == (replace(ONE, actual=Decimal(2)),)


def test_what_cannot_be_seen_neither_ends_nor_begins_anew() -> None:
    other = replace(ONE, identity="stray:2")
    known = Steady(certain={ONE.identity: ONE}, open={other.identity: other})

    turn = turned(known, (), {ONE.identity, other.identity}, NOW + STEADY)

    assert turn == Turn(after=known)
