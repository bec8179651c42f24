import msgspec
import pytest
from msgspec import Raw

from ingest import records
from ingest.records import Answered, Asked, Line, Owned, Published, Record, Renewed, Snapshot, TakenOver
from tests.ingest.samples import fact, market_buy

LINE = Line(producer="demo-1", seq=2, published=1, owner="token")
STATE = Snapshot(
    lines={"demo": LINE}, pictures={"demo/10001": {"old": {"a": 1, "b": 2}}},
    asked=(Asked(source="demo", exchange=market_buy()),),
)  # fmt: skip

EVERY_KIND: list[Record] = [
    STATE,
    Asked(source="demo", exchange=market_buy("f2")),
    Answered(
        source="demo",
        flow="f1",
        facts=(fact(3), fact(4)),
        pictures={"demo/10001": Raw(b'{"new":1,"old":{"b":null,"c":3}}')},
    ),
    Published(source="demo", seq=2),
    Renewed(source="demo", producer="demo-2", facts=(fact(1, "demo-2"),)),
    Owned(source="demo", owner=""),
    TakenOver(
        source="demo",
        producer="demo-2",
        writer="other-1",
        facts=(fact(1, "demo-2"),),
        pictures={"demo/10001": Raw(b'{"new":1}')},
        overtaken=("demo/10001/order:1002@1",),
    ),
]


@pytest.mark.parametrize("record", EVERY_KIND, ids=lambda record: type(record).__name__)
def test_a_record_is_one_line_and_comes_back_as_it_was(record: Record) -> None:
    line = records.encode(record)
    assert b"\n" not in line
    assert records.encode(records.decode(line)) == line


@pytest.mark.parametrize(
    ("record", "line"),
    [
        (EVERY_KIND[1], LINE),
        (EVERY_KIND[2], Line(producer="demo-1", seq=4, published=1, owner="token")),
        (EVERY_KIND[3], Line(producer="demo-1", seq=2, published=2, owner="token")),
        (EVERY_KIND[4], Line(producer="demo-2", seq=1, published=0, owner="token", after=("demo-1",))),
        (EVERY_KIND[5], Line(producer="demo-1", seq=2, published=1, owner="")),
        (EVERY_KIND[6], Line(producer="demo-2", seq=1, published=0, owner="token", after=("other-1",))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_record_moves_its_own_source_on(record: Record, line: Line) -> None:
    assert records.follow(STATE, record).lines == {"demo": line}


def test_an_answer_settles_its_request_and_changes_the_picture() -> None:
    after = records.follow(STATE, EVERY_KIND[2])
    assert (after.asked, after.pictures) == ((), {"demo/10001": {"old": {"a": 1, "c": 3}, "new": 1}})


def test_a_source_that_was_taken_over_has_the_pictures_of_the_other_and_none_of_its_own_in_them() -> None:
    assert records.follow(STATE, EVERY_KIND[6]).pictures == {"demo/10001": {"new": 1}}


def test_an_answer_to_something_else_leaves_the_request_open() -> None:
    assert records.follow(STATE, Answered(source="demo", flow="other")).asked == STATE.asked


def test_a_snapshot_is_the_state_whatever_was_before() -> None:
    assert records.follow(STATE, Snapshot()) == Snapshot()


def test_what_waits_is_whole_only_without_a_hole() -> None:
    line = Line(producer="demo-1", seq=4, published=1)
    assert records.whole([fact(2), fact(3), fact(4)], line)
    assert not records.whole([fact(2), fact(4)], line)
    assert not records.whole([fact(2), fact(3)], line)


def test_a_line_that_is_no_record_is_an_error_and_not_a_guess() -> None:
    with pytest.raises(msgspec.ValidationError):
        records.decode(b'{"record":"something newer"}')
