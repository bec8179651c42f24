"""Facts are complete, numbered without gaps, and only in a unit that is known."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from ingest.calls import Instrument
from ingest.changes import Change, Why
from ingest.source import Source
from ingest.state import Picture
from ingest.stating import Stamp, contract_of, facts
from shared.facts import Amount, Levels
from tests.ingest.story import BROKER, START

D = Decimal
AUTO = replace(BROKER, quantity_unit="auto")
PICTURE = Picture(source="fusion", account="10001", model="hedging")


def change(before: tuple[int, int], after: tuple[int, int], revision: int = 1) -> Change:
    return Change(
        kind="position.changed",
        object=f"position:p1/{revision}",
        instrument="X",
        position="p1",
        revision=revision,
        before=Amount(held=D(before[0]), coming=D(before[1])),
        after=Amount(held=D(after[0]), coming=D(after[1])),
        levels=Levels(),
        why=Why(at=START),
    )


def test_numbers_go_on_from_the_stamp_and_skip_nothing() -> None:
    stamp = Stamp(producer="p", seq=41, captured=START, uncertainty=0.5)
    found, notes = facts(PICTURE, [change((1, 0), (2, 0)), change((2, 0), (1, 0), 2)], BROKER, stamp)
    assert [(f.seq, f.producer, f.uncertainty, f.captured) for f in found] == [
        (41, "p", 0.5, START),
        (42, "p", 0.5, START),
    ]
    assert [f.id for f in found] == ["fusion/10001/position:p1/1", "fusion/10001/position:p1/2"]
    assert notes == ()


@pytest.mark.parametrize(
    ("before", "after", "stated"),
    [
        ((0, 0), (0, 1), False),
        ((0, 1), (1, 0), False),
        ((1, 0), (1, -2), False),
        ((2, 0), (1, 0), True),
        ((1, 0), (1, -1), True),
        ((1, 0), (1, 0), True),
        ((1, -1), (1, 0), False),
    ],
)
def test_without_a_unit_only_what_opens_nothing_is_stated(
    before: tuple[int, int], after: tuple[int, int], stated: bool
) -> None:
    found, notes = facts(PICTURE, [change(before, after)], AUTO, Stamp(producer="p", seq=1, captured=START))
    assert bool(found) is stated
    assert [n.kind for n in notes] == ([] if stated else ["unit-unknown"])


@pytest.mark.parametrize(
    ("source", "row", "unit"),
    [
        (BROKER, None, "lots"),
        (BROKER, Instrument(name="X", unit="units"), "lots"),
        (AUTO, None, None),
        (AUTO, Instrument(name="X"), None),
        (AUTO, Instrument(name="X", unit="units", tick_size=D(1)), "units"),
    ],
)
def test_the_settings_word_on_the_unit_comes_before_the_sources(
    source: Source, row: Instrument | None, unit: str | None
) -> None:
    found = contract_of(row, source)
    assert (None if found is None else found.unit) == unit
