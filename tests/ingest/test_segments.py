import logging
import resource
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import segments
from ingest.aside import Aside
from ingest.segments import Damaged, Directory, Segment, Syncer, records
from shared.process import UserError

PATIENCE = 60
RECORDS = st.lists(st.binary(max_size=60).filter(lambda record: b"\n" not in record), min_size=1, max_size=8)


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes: a write is cut short there and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def written(path: Path, content: list[bytes]) -> Path:
    segment = Segment(path)
    for record in content:
        segment.append(record)
    segment.close()
    return path


@given(content=RECORDS, data=st.data())
def test_a_segment_cut_anywhere_gives_the_whole_records_before_and_says_what_was_lost(
    tmp_path_factory: pytest.TempPathFactory, content: list[bytes], data: st.DataObject
) -> None:
    path = written(tmp_path_factory.mktemp("cut") / "1.journal", content)
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])

    found = list(records(path))
    sound = [record for record in found if isinstance(record, bytes)]
    assert sound == content[: len(sound)]
    lost = cut - sum(len(record) + 10 for record in sound)
    assert [record for record in found if isinstance(record, Damaged)] == (
        [Damaged(cut - lost, lost, True)] if lost else []
    )


def test_a_flipped_bit_costs_the_record_it_is_in_and_no_other(tmp_path: Path) -> None:
    path = written(tmp_path / "1.journal", [b'{"a":1}', b'{"b":2}', b'{"c":3}'])
    content = bytearray(path.read_bytes())
    content[25] ^= 4
    path.write_bytes(content)
    assert list(records(path)) == [b'{"a":1}', Damaged(17, 17, last=False), b'{"c":3}']


def test_a_record_that_does_not_fit_leaves_the_file_as_it_was_and_the_next_one_follows_cleanly(tmp_path: Path) -> None:
    segment = Segment(tmp_path / "1.journal")
    segment.append(b"first")
    with room_for(30), pytest.raises(OSError, match=r"could be written|too large"):
        segment.append(b"x" * 100)
    assert segment.path.stat().st_size == segment.size
    segment.append(b"second")
    segment.close()
    assert list(records(segment.path)) == [b"first", b"second"]


def test_nobody_else_can_read_a_segment(tmp_path: Path) -> None:
    directory = Directory(tmp_path / "outbox")
    segment = directory.begin()
    assert stat.S_IMODE(segment.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.path.stat().st_mode) == 0o700
    segment.close()
    directory.close()


def test_segments_are_numbered_on_and_listed_oldest_first(tmp_path: Path) -> None:
    directory = Directory(tmp_path)
    for _ in range(11):
        directory.begin().close()
    assert [int(path.stem) for path in directory.segments()] == list(range(1, 12))
    directory.close()


def test_a_second_process_is_kept_out_until_the_first_has_left(tmp_path: Path) -> None:
    first = Directory(tmp_path)
    with pytest.raises(UserError, match="another ingest uses this outbox"):
        Directory(tmp_path)
    first.close()
    Directory(tmp_path).close()


class Disk:
    """Stands in for the system call that syncs; says when it was called and fails while it is told to."""

    def __init__(self) -> None:
        self.synced = Event()
        self.broken = False

    def __call__(self, _fd: int) -> None:
        self.synced.set()
        if self.broken:
            raise OSError(5, "Input/output error")

    def next(self) -> None:
        assert self.synced.wait(PATIENCE)
        self.synced.clear()


def test_what_was_written_is_synced_without_being_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk, aside = Disk(), Aside("test")
    monkeypatch.setattr(segments, "_sync_file", disk)
    segment, syncer = Segment(tmp_path / "1.journal"), Syncer(aside)
    for _ in range(2):
        segment.append(b"record")
        syncer.written(segment)
        disk.next()
    assert aside.close(PATIENCE)
    segment.close()


def test_a_disk_that_cannot_sync_is_said_once_and_tried_again_with_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    disk, aside = Disk(), Aside("test")
    monkeypatch.setattr(segments, "_sync_file", disk)
    segment, syncer = Segment(tmp_path / "1.journal"), Syncer(aside)
    for broken in (True, True, False):
        disk.broken = broken
        syncer.written(segment)
        disk.next()
        aside.ask(lambda: None).result(PATIENCE)
        assert syncer.failing == broken
    assert [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR] == [
        "the outbox cannot be synced to disk: Input/output error"
    ]
    assert aside.close(PATIENCE)
    segment.close()


def test_a_sync_that_does_not_come_back_fails_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "SLOWEST_SYNC_S", 0.0)
    entered, is_back, aside = Event(), Event(), Aside("test")

    def hang(_fd: int) -> None:
        entered.set()
        is_back.wait()

    monkeypatch.setattr(segments, "_sync_file", hang)
    segment, syncer = Segment(tmp_path / "1.journal"), Syncer(aside)
    syncer.written(segment)
    assert entered.wait(PATIENCE)
    seen = [syncer.failing]
    is_back.set()
    assert aside.close(PATIENCE)
    assert [*seen, syncer.failing] == [True, False]
    segment.close()
