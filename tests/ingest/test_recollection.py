import os
from pathlib import Path

import pytest

from ingest import records
from ingest.recollection import facts_after, outdated, recollect
from ingest.records import Answered, Line, Published, Record, Snapshot
from ingest.segments import Segment
from tests.ingest.samples import fact


def told(path: Path, *content: Record) -> Path:
    segment = Segment(path)
    for record in content:
        segment.append(records.encode(record))
    segment.close()
    return path


def at(seq: int, published: int = 0) -> Snapshot:
    return Snapshot(lines={"demo": Line(producer="demo-1", seq=seq, published=published)})


def new(*seqs: int) -> Answered:
    return Answered(source="demo", facts=tuple(fact(seq) for seq in seqs))


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """Facts 1 and 2, 3 and 4, 5; the first three are published."""
    return [
        told(tmp_path / "1.journal", at(0), new(1), new(2)),
        told(
            tmp_path / "2.journal", at(2), Published(source="demo", seq=2), new(3, 4), Published(source="demo", seq=3)
        ),
        told(tmp_path / "3.journal", at(4, 3), new(5)),
    ]


def test_the_newest_segment_tells_where_to_go_on(three: list[Path]) -> None:
    assert recollect(three).lines == {"demo": Line(producer="demo-1", seq=5, published=3)}


def test_a_segment_whose_beginning_is_damaged_is_told_from_the_one_before(three: list[Path]) -> None:
    three[2].write_bytes(b"x" + three[2].read_bytes()[1:])
    assert recollect(three).lines == {"demo": Line(producer="demo-1", seq=5, published=3)}


def test_nothing_on_disk_is_nothing_known() -> None:
    assert recollect([]) == Snapshot()


@pytest.mark.parametrize("published", range(6))
def test_facts_are_found_in_whichever_segment_they_are(three: list[Path], published: int) -> None:
    found = facts_after(three, Line(producer="demo-1", seq=5, published=published))
    assert [f.seq for f in found] == list(range(published + 1, 6))


def test_facts_of_an_earlier_producer_are_not_mixed_in(three: list[Path]) -> None:
    assert facts_after(three, Line(producer="demo-2")) == []


def test_no_more_is_read_than_is_needed(three: list[Path]) -> None:
    three[0].unlink()
    assert [f.seq for f in facts_after(three, Line(producer="demo-1", seq=5, published=2))] == [3, 4, 5]


@pytest.mark.parametrize(("published", "gone"), [(1, 0), (2, 1), (3, 1), (4, 2), (5, 2)])
def test_a_segment_may_go_when_it_is_old_and_all_in_it_is_published_and_the_newest_never(
    three: list[Path], published: int, gone: int
) -> None:
    lines = {"demo-1": Line(producer="demo-1", seq=5, published=published)}
    for path in three:
        os.utime(path, (100, 100))
    assert outdated(three, lines, 101) == three[:gone]
    assert outdated(three, lines, 100) == []


def test_a_record_of_a_newer_version_is_said_and_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = told(tmp_path / "1.journal", at(0), new(1))
    segment = Segment(tmp_path / "2.journal")
    segment.append(b'{"record":"something newer"}')
    segment.close()
    assert recollect([path, segment.path]).lines["demo"].seq == 1
    assert "cannot be read by this version" in caplog.text
