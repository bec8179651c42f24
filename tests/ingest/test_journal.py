import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from ingest import journal as journals
from ingest.aside import Aside
from ingest.journal import Journal
from ingest.segments import Directory, records
from tests.ingest.stuck import stuck
from tests.ingest.test_segments import room_for

PATIENCE = 60
SNAPSHOT = b"a snapshot"


@contextmanager
def begun(path: Path) -> Iterator[Journal]:
    directory, aside = Directory(path), Aside("test")
    journal = Journal(directory, SNAPSHOT, aside)
    try:
        yield journal
    finally:
        assert journal.close()
        assert aside.close(PATIENCE)
        directory.close()


def by_segment(path: Path) -> list[list[object]]:
    return [list(records(segment)) for segment in sorted(path.glob("*.journal"))]


def kept(path: Path) -> list[object]:
    return [record for segment in by_segment(path) for record in segment]


async def until_settled(journal: Journal) -> None:
    async with asyncio.timeout(PATIENCE):
        while not journal.is_settled:
            await asyncio.sleep(0.005)


def test_a_record_is_in_the_file_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journals, "INLINE_S", PATIENCE)
    with begun(tmp_path) as journal:
        for number in range(100):
            journal.write(b"%d" % number)
            assert kept(tmp_path)[-1] == b"%d" % number
        assert (journal.held, journal.is_settled, journal.problems()) == (0, True, [])


async def test_only_the_first_record_that_a_hung_disk_gets_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(journals, "Lock", lambda: Noting(waited))
    with begun(tmp_path) as journal, stuck(journal.segment) as disk:
        for number in range(50):
            journal.write(b"%d" % number)
        assert waited == [journals.INLINE_S]
        assert journal.held == 50
        assert not journal.is_settled
        disk.release()
        await until_settled(journal)
    assert kept(tmp_path) == [SNAPSHOT, *(b"%d" % number for number in range(50))], "all of them, in their order"


class Noting:
    """A lock that notes how long somebody was ready to wait for it, and lets nobody wait."""

    def __init__(self, waited: list[float]) -> None:
        self._waited = waited

    def acquire(self, timeout: float = 0) -> None:
        if timeout:
            self._waited.append(timeout)

    def release(self) -> None:
        """Nobody waits."""


async def test_who_waits_is_told_when_the_disk_has_taken_what_was_written_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "PATIENCE_S", 3600.0)
    with begun(tmp_path) as journal, stuck(journal.segment) as disk:
        journal.write(b"first")
        waiting = [asyncio.create_task(journal.settled()) for _ in range(3)]
        await asyncio.sleep(0)
        journal.write(b"second")
        assert not any(task.done() for task in waiting)
        disk.release()
        assert [await task for task in waiting] == [True, True, True]
        await until_settled(journal)
        assert await journal.settled()


async def test_who_waits_goes_on_without_after_a_while_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journals, "PATIENCE_S", 0.1)
    with begun(tmp_path) as journal, stuck(journal.segment) as disk:
        journal.write(b"first")
        begun_at = monotonic()
        assert not any(await asyncio.gather(journal.settled(), journal.settled()))
        assert monotonic() - begun_at > 0.05
        assert journal.is_overdue
        journal.write(b"second")
        assert not await journal.settled(), "it has had its time"
        assert journal.problems()[0] == "the disk hangs: 2 records of the outbox are in memory only"
        assert journal.stuck == 2
        disk.release()
        await until_settled(journal)
        assert await journal.settled()
    said = [r.getMessage() for r in caplog.records if "the disk of the outbox" in r.getMessage()]
    assert ["does not answer" in said[0], "answers again" in said[1], len(said)] == [True, True, 2]
    assert kept(tmp_path) == [SNAPSHOT, b"first", b"second"]


async def test_a_full_disk_is_not_waited_for_and_gets_the_rest_when_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with begun(tmp_path) as journal:
        with room_for(journal.segment.size + 20):
            for number in range(5):
                journal.write(b"record %d" % number)
            assert await journal.settled()
            assert journal.held == 4
            assert journal.problems() == ["the outbox cannot be written: 4 records are in memory only"]
            assert [r.levelno for r in caplog.records].count(logging.ERROR) == 1
        journal.tend(lambda: SNAPSHOT, 1000)
        assert await journal.settled()
        assert (journal.held, journal.problems()) == (0, [])
    assert kept(tmp_path) == [SNAPSHOT, *(b"record %d" % number for number in range(5))]


async def test_a_long_segment_gives_way_to_one_that_begins_with_a_snapshot(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        journal.write(b"first")
        journal.tend(lambda: b"not yet", 1000)
        journal.tend(lambda: b"all so far", 10)
        journal.write(b"second")
        assert await journal.settled()
    assert by_segment(tmp_path) == [[SNAPSHOT, b"first"], [b"all so far", b"second"]]


async def test_a_segment_that_cannot_be_begun_leaves_the_old_one_and_nothing_behind(tmp_path: Path) -> None:
    with begun(tmp_path) as journal:
        with room_for(100):
            journal.tend(lambda: b"x" * 200, 10)
            journal.write(b"second")
            assert await journal.settled()
        assert by_segment(tmp_path) == [[SNAPSHOT, b"second"]]


async def test_a_hung_disk_does_not_keep_us_from_ending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journals, "CLOSING_S", 0.1)
    with begun(tmp_path) as journal:
        with stuck(journal.segment):
            journal.write(b"first")
            assert not journal.close()
            assert "the disk of the outbox does not answer: 1 records are lost" in caplog.text
        await until_settled(journal)
