"""A row is compared with what was signed; the numbers of a producer are followed one by one."""

from typing import Any

import msgspec
import pytest

from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row
from archiver.verify import KINDS, Finding, Step, checked, missing, query, unseen
from shared.wire import Codec, Keyring
from tests.archiver.entries import CODEC, fact, judged, outcome, step
from tests.shared.samples import FACTS, OUTCOMES

SAMPLES = [judged(message) for message in [*FACTS, *OUTCOMES, outcome(fact(1), step(deal=3, mark=5, ticket=7))]]


def values(row: Row, **changes: Any) -> list[Any]:
    return list({**msgspec.structs.asdict(row), **changes}.values())


@pytest.mark.parametrize("row", SAMPLES)
def test_a_row_as_it_was_signed_has_no_finding(row: Row) -> None:
    assert checked(CODEC, type(row), values(row)) is None


@pytest.mark.parametrize("row", SAMPLES)
def test_no_column_can_be_changed_unseen(row: Row) -> None:
    for name in row.__struct_fields__:
        if name in {"namespace", "entry"}:  # nobody signed where it lay
            continue
        found = checked(CODEC, type(row), values(row, **{name: other(name, getattr(row, name))}))
        assert found is not None, name
        assert found.verdict == ("not checked" if name == "k" else "changed"), name


def other(name: str, value: Any) -> Any:
    match value:
        case bytes():
            return value.replace(b"e", b"f", 1)
        case str():
            return '{"x": 1}' if name == "body" else f"{value}0"
        case list():
            return [*value, 1]
        case None:
            return "x"
        case bool():
            return not value
        case int():
            return value + 1
        case _:
            return None


def test_a_forged_row_is_named_with_what_it_is() -> None:
    forger = Codec("main", Keyring(current="k1", keys={"k1": b"fedcba9876543210"}))
    row = judged(fact(4))
    found = checked(CODEC, FactRow, values(row, s=forger.entry("orders", fact(4))[b"s"].decode()))
    assert found is not None
    assert found.line() == (
        "changed: facts outbox-1 4 demo/10001/position:o1/4: its message is not what was signed, or nobody signed it"
    )


def test_an_outcome_among_the_facts_is_no_fact() -> None:
    row = judged(fact(1))
    entry = CODEC.entry("outcomes", outcome(fact(1)))
    moved = {"m": entry[b"m"], "s": entry[b"s"].decode()}
    assert checked(CODEC, FactRow, values(row, **moved)) is not None


def test_a_change_says_what_it_is_and_what_it_was() -> None:
    row = judged(OUTCOMES[2])
    found = checked(CODEC, ObservationRow, values(row, profit=msgspec.structs.asdict(row)["price"]))
    assert found is not None
    assert found.text == "profit is 1.1, signed was 0"


def steps(*seqs: int) -> list[Step]:
    pairs = zip([None, *seqs], seqs, strict=False)
    return [Step(producer="p", seq=seq, previous=before, id=f"f{seq}") for before, seq in pairs]


@pytest.mark.parametrize(
    ("seqs", "expected"),
    [
        ((1, 2, 3), []),
        ((1, 3), ["missing: facts p 2: this fact is not in the archive"]),
        ((3, 4), ["missing: facts p 1 to 2: 2 facts are not in the archive"]),
        ((1, 2, 2), ["added: facts p 2: f2 has a number that another fact has"]),
    ],
)
def test_the_numbers_of_a_producer_have_no_gaps_and_no_doubles(seqs: tuple[int, ...], expected: list[str]) -> None:
    assert [found.line() for found in missing(steps(*seqs))] == expected


def test_what_was_published_last_has_to_be_there_too() -> None:
    found = list(unseen({"a": 5, "b": 3}, {"a": 5, "b": 4, "c": 2}))
    assert [(f.verdict, f.what) for f in found] == [("missing", "b 4"), ("missing", "c 1 to 2")]


def test_a_query_asks_for_every_column_and_for_the_period_only() -> None:
    for kind in KINDS:
        assert all(f'"{name}"' in query(kind, since=False, until=False) for name in kind.__struct_fields__)
    assert "captured >= %(since)s and captured < %(until)s" in query(FactRow, since=True, until=True)
    assert query(OutcomeRow, since=True, until=False).endswith("namespace = %(namespace)s and at >= %(since)s")


def test_a_finding_is_one_line() -> None:
    assert "\n" not in Finding(verdict="missing", table="facts", what="p 1", text="gone").line()
