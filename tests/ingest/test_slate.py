import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from time import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import slate as slates
from ingest.aside import Aside
from ingest.journal import Journal
from ingest.segments import Directory, records
from ingest.slate import EMPTY_S, ROOM, Place, Slate, begun, left, remaining, rescue
from tests.ingest.samples import journal as oldest
from tests.ingest.stuck import stuck
from tests.processes import python, told

PATIENCE = 60
SNAPSHOT = b'{"record":"snapshot"}'


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path / "memory"
    found.mkdir()
    monkeypatch.setattr(slates, "MEMORY", found)
    return found


def in_memory(memory: Path) -> Path:
    (found,) = memory.iterdir()
    return found


@contextmanager
def run(path: Path) -> Iterator[Journal]:
    """A journal with its slate, from its start to its end."""
    directory, aside = Directory(path), Aside("test")
    journal = Journal(directory, SNAPSHOT, aside, begun(directory))
    try:
        yield journal
    finally:
        assert journal.close()
        assert aside.close(PATIENCE)
        directory.close()


def written(*records: bytes) -> bytes:
    """As they stand on a slate."""
    return b"".join(len(record).to_bytes(4, "little") + record for record in records) + bytes(4)


def place(outbox: Path) -> Path:
    """Where the slate of an outbox is."""
    directory = Directory(outbox)
    try:
        return slates._path(directory)
    finally:
        directory.close()


def kept(path: Path) -> list[object]:
    found = [record for segment in sorted(path.glob("*.journal")) for record in records(segment)]
    return [record for record in found if record != SNAPSHOT]


def test_a_record_is_on_the_slate_when_it_is_written_whatever_the_disk_does(tmp_path: Path, memory: Path) -> None:
    with run(tmp_path / "outbox") as journal:
        with stuck(journal.segment) as disk:
            for number in range(20):
                journal.write(b"%d" % number)
                assert journal.is_safe
                assert left(in_memory(memory))[1:] == [b"%d" % n for n in range(number + 1)]
            assert not journal.is_settled
            assert kept(tmp_path / "outbox") == []
            disk.release()
            assert journal.flushed(PATIENCE)
        assert kept(tmp_path / "outbox") == [b"%d" % number for number in range(20)]
    assert list(memory.iterdir()) == [], "nothing is left when it ends well"


async def test_what_is_on_the_slate_goes_to_the_disk_when_nobody_waits_for_us(tmp_path: Path, memory: Path) -> None:
    with run(tmp_path / "outbox") as journal:
        for number in range(3):
            journal.write(b"%d" % number)
        assert journal.is_safe
        assert journal.held == 3
        async with asyncio.timeout(PATIENCE):
            while not journal.is_settled:
                await asyncio.sleep(0)
        assert kept(tmp_path / "outbox") == [b"0", b"1", b"2"]


async def test_what_is_on_no_slate_does_not_pass_what_is_on_it(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.INLINE_S", PATIENCE)
    with run(tmp_path / "outbox") as journal:
        journal.write(b"first")
        with monkeypatch.context() as full:
            full.setattr(Slate, "add", lambda *_: False)
            journal.write(b"second")
        assert journal.flushed(PATIENCE)
        assert kept(tmp_path / "outbox") == [b"first", b"second"]


def test_what_the_disk_did_not_have_is_put_there_at_the_next_start(
    tmp_path: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path / "outbox") as journal:
        journal.write(b"before")
        assert journal.flushed(PATIENCE)
        journal._begin_slate()
        for number in range(5):
            journal.write(b"%d" % number)
        assert journal.flushed(PATIENCE)
        there = in_memory(memory).read_bytes()
    path = oldest(tmp_path / "outbox")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-3]) + lines[-3][:7])  # three were lost, one of them written in part
    place(tmp_path / "outbox").write_bytes(there)
    place(tmp_path / "outbox").chmod(0o600)
    with run(tmp_path / "outbox"):
        assert kept(tmp_path / "outbox") == [b"before", *(b"%d" % number for number in range(5))]
    assert "3 records that the disk did not have" in caplog.text


@given(lost=st.integers(0, 400), cut=st.integers(0, 60), again=st.integers(0, 2), turned=st.booleans())
def test_wherever_the_disk_and_the_slate_were_cut_every_record_that_was_safe_is_there_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, lost: int, cut: int, again: int, *, turned: bool
) -> None:
    base = tmp_path_factory.mktemp("slate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slates, "MEMORY", base)
        with run(base / "outbox") as journal:
            for number in range(8):
                journal.write(b"%d" % number)
                assert journal.flushed(PATIENCE)
                if number == 2:
                    journal._begin_slate()
                if number == 5 and turned:
                    journal.tend(lambda: SNAPSHOT, 0)
                    assert journal.flushed(PATIENCE)
            slate = next(base.glob("*.slate"))
            there, used = slate.read_bytes(), left(slate)
            at, size = used[0], len(written(*used)) - 4
        end = size - cut if cut < size - len(at) - 10 else size
        whole_ones = max((used[:n] for n in range(len(used) + 1) if len(written(*used[:n])) - 4 <= end), key=len)
        torn = len(written(*whole_ones)) - 4  # what has no length yet may be there in part
        slate.write_bytes(there[:torn] + bytes(4) + there[torn + 4 : end] + bytes(len(there)))
        slate.chmod(0o600)
        sound = whole_ones[1:]
        assert left(slate) == whole_ones
        newest = max((base / "outbox").glob("*.journal"))
        first = msgspec.json.decode(at, type=Place)
        floor = first.size if newest.name == first.segment else 0
        whole = newest.read_bytes()
        newest.write_bytes(whole[: max(floor, len(whole) - lost)])
        for _ in range(again + 1):
            with run(base / "outbox"):
                pass
        found = [r for r in kept(base / "outbox") if isinstance(r, bytes)]
        before = int(sound[0]) if sound else 0
        expected = [*(b"%d" % number for number in range(before)), *sound]
        assert found[: len(expected)] == expected
        assert found == [b"%d" % number for number in range(len(found))]


def test_a_slate_of_another_outbox_or_of_another_time_is_left_out(
    tmp_path: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path / "outbox") as journal:
        journal.write(b"mine")
        assert journal.flushed(PATIENCE)
        there = in_memory(memory).read_bytes()
    directory = Directory(tmp_path / "other")
    directory.begin().append(SNAPSHOT)
    (memory / "stale").write_bytes(there)
    rescue(directory, memory / "stale")
    (memory / "stale").write_bytes(there.replace(b"mine", b"your"))
    rescue(directory, memory / "stale")
    (memory / "stale").write_bytes(b"")
    rescue(directory, memory / "stale")
    directory.close()
    assert kept(tmp_path / "other") == []
    assert caplog.text.count("does not go on from what is on disk") == 2


def test_a_slate_that_says_something_else_than_the_disk_is_left_out(
    tmp_path: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path / "outbox") as journal:
        journal.write(b"mine")
        journal.write(b"more")
        assert journal.flushed(PATIENCE)
        there = in_memory(memory).read_bytes()
    (memory / "stale").write_bytes(there.replace(b"mine", b"else"))
    directory = Directory(tmp_path / "outbox")
    rescue(directory, memory / "stale")
    directory.close()
    assert kept(tmp_path / "outbox") == [b"mine", b"more"]
    assert "does not go on from what is on disk, so 2 records in it are left out" in caplog.text


@pytest.mark.parametrize("forged", ["writable by others", "a link"])
def test_a_slate_that_others_could_have_written_is_not_used(
    tmp_path: Path, memory: Path, caplog: pytest.LogCaptureFixture, forged: str
) -> None:
    path = place(tmp_path / "outbox")
    (tmp_path / "elsewhere").write_bytes(b"forged")
    if forged == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.touch()
        path.chmod(0o666)
    with run(tmp_path / "outbox") as journal:
        journal.write(b"mine")
        assert journal.flushed(PATIENCE)
    assert (tmp_path / "elsewhere").read_bytes() == b"forged"
    assert "cannot be used, so trading calls wait for the disk" in caplog.text
    assert kept(tmp_path / "outbox") == [b"mine"]


def no_room(*_: int) -> None:
    raise OSError(28, "No space left on device")


def test_a_slate_that_is_full_takes_nothing_more_until_it_begins_anew(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(tmp_path / "outbox") as journal:
        with stuck(journal.segment), monkeypatch.context() as full:
            journal.write(b"first")
            full.setattr(os, "posix_fallocate", no_room)
            journal.write(b"second" * ROOM)
            safe = [journal.is_safe]
            full.undo()
            journal.write(b"third")
            safe.append(journal.is_safe)
        assert journal.flushed(PATIENCE)
        journal.write(b"fourth")
        assert [*safe, journal.is_safe] == [False, False, True], "not while a record is missing before it"
        assert left(in_memory(memory))[1:] == [b"fourth"]


def test_a_long_slate_begins_anew_when_the_disk_has_everything(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.journal.LONGEST", 500)
    with run(tmp_path / "outbox") as journal:
        for _ in range(100):
            journal.write(b"x" * 100)
            assert journal.flushed(PATIENCE)
            assert len(written(*left(in_memory(memory)))) < 1000


def test_a_slate_has_the_room_that_it_needs_while_the_disk_hangs_and_gives_it_back(
    tmp_path: Path, memory: Path
) -> None:
    with run(tmp_path / "outbox") as journal:
        with stuck(journal.segment):
            for _ in range(5):
                journal.write(b"x" * ROOM)
                assert journal.is_safe
            assert left(in_memory(memory))[1:] == [b"x" * ROOM] * 5
            assert in_memory(memory).stat().st_size > 5 * ROOM
        assert journal.flushed(PATIENCE)
        journal.write(b"y")
        assert left(in_memory(memory))[1:] == [b"y"]
        assert in_memory(memory).stat().st_size == ROOM


class Stop(BaseException):
    """What a kill is: nothing after it is done."""


class Mortal:
    """A mapped file whose writer is killed at one of its writes, half way through."""

    def __init__(self, place: mmap, at: int) -> None:
        self._place = place
        self._left = at

    def __setitem__(self, where: slice, content: bytes) -> None:
        self._left -= 1
        if not self._left:
            half = len(content) // 2
            self._place[where.start or 0 : (where.start or 0) + half] = content[:half]
            raise Stop
        self._place[where] = content


def begin_and_write(slate: Slate, heading: Place) -> None:
    slate.begin(heading)
    slate.add(b"first")
    slate.add(b"second")


@pytest.mark.parametrize("at", range(1, 8))
def test_a_slate_whose_writer_is_killed_at_any_write_holds_whole_records_only(tmp_path: Path, at: int) -> None:
    slate, heading = Slate(tmp_path / "slate"), Place(directory="d", segment="s", size=1, crc=1)
    slate.begin(heading)
    for _ in range(3):
        slate.add(b"of the time before")
    assert slate._map is not None
    slate._map = Mortal(slate._map, at)  # type: ignore[assignment]
    with pytest.raises(Stop):
        begin_and_write(slate, heading)
    found = left(tmp_path / "slate")
    assert found[1:] == [[], [], [], [], [b"first"], [b"first"], [b"first", b"second"]][at - 1]
    assert [msgspec.json.decode(one, type=Place) for one in found[:1]] in ([], [heading])
    os.close(slate._fd)


def test_slates_of_outboxes_that_are_gone_are_removed(tmp_path: Path, memory: Path) -> None:
    with run(tmp_path / "outbox") as journal:
        journal.write(b"mine")
    gone = memory / f"tradecopier-{os.getuid()}-0123456789abcdef.slate"
    heading = msgspec.json.encode(Place(directory=str(tmp_path / "gone"), segment="1", size=1, crc=1))
    gone.write_bytes(written(heading))
    gone.chmod(0o600)
    with run(tmp_path / "outbox"):
        assert not gone.exists()


@pytest.mark.parametrize(("age", "stays"), [(EMPTY_S + 60, False), (0, True)])
def test_a_slate_on_which_nothing_was_put_is_removed_when_it_is_old(
    tmp_path: Path, memory: Path, age: float, stays: bool
) -> None:
    empty = memory / f"tradecopier-{os.getuid()}-0123456789abcdef.slate"
    empty.write_bytes(bytes(100))
    empty.chmod(0o600)
    os.utime(empty, (time() - age,) * 2)
    with run(tmp_path / "outbox"):
        assert empty.exists() is stays


def test_a_slate_that_was_removed_by_another_process_just_as_it_was_opened_is_none(
    tmp_path: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, lock = place(tmp_path / "outbox"), slates._lock

    def late(fd: int) -> None:
        where.unlink()
        lock(fd)

    monkeypatch.setattr(slates, "_lock", late)
    directory = Directory(tmp_path / "outbox")
    assert begun(directory) is None
    directory.close()


def test_what_a_process_that_was_killed_has_left_is_found_by_its_outbox(tmp_path: Path, memory: Path) -> None:
    with run(tmp_path / "outbox"):
        assert remaining(tmp_path / "outbox") == [in_memory(memory)]
        assert remaining(tmp_path / "elsewhere") == []
    assert remaining(tmp_path / "outbox") == []


def test_two_outboxes_of_one_name_do_not_share_a_slate(
    tmp_path: Path, memory: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As two containers may have, with one memory between them."""
    with run(tmp_path / "outbox") as first:
        first.write(b"first")
        (tmp_path / "outbox").rename(tmp_path / "elsewhere")
        with run(tmp_path / "outbox") as second:
            second.write(b"second")
            assert second.flushed(PATIENCE)
        assert left(in_memory(memory))[1:] == [b"first"]
        assert "cannot be used, so trading calls wait for the disk" in caplog.text
    assert (kept(tmp_path / "outbox"), kept(tmp_path / "elsewhere")) == ([b"second"], [b"first"])


def test_a_slate_that_somebody_uses_is_not_removed(tmp_path: Path, memory: Path) -> None:
    with run(tmp_path / "outbox") as first:
        first.write(b"first")
        (tmp_path / "outbox").rename(tmp_path / "elsewhere")
        with run(tmp_path / "another"):
            assert len(list(memory.iterdir())) == 2


def test_a_new_segment_begins_a_new_slate(tmp_path: Path, memory: Path) -> None:
    """The old one may be removed in a week, and nothing could go on from it any more."""
    with run(tmp_path / "outbox") as journal:
        journal.write(b"first")
        assert journal.flushed(PATIENCE)
        journal.tend(lambda: SNAPSHOT, 0)
        assert journal.flushed(PATIENCE)
        journal.tend(lambda: SNAPSHOT, 10**6)
        heading, *more = left(in_memory(memory))
        assert msgspec.json.decode(heading, type=Place).segment == journal.segment.path.name
        assert more == []


def test_where_there_is_no_place_in_memory_there_is_no_slate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slates, "MEMORY", tmp_path / "nowhere")
    with run(tmp_path / "outbox") as journal:
        journal.write(b"mine")
        assert journal.flushed(PATIENCE)
    assert kept(tmp_path / "outbox") == [b"mine"]


def test_a_process_that_is_killed_while_its_disk_hangs_leaves_every_record_that_it_wrote(
    tmp_path: Path, memory: Path
) -> None:
    source = """
        import sys
        from pathlib import Path
        from ingest import slate
        from ingest.aside import Aside
        from ingest.journal import Journal
        from ingest.segments import Directory
        from ingest.slate import begun
        from tests.ingest.stuck import Disk
        slate.MEMORY = Path(sys.argv[2])
        directory = Directory(Path(sys.argv[1]))
        journal = Journal(directory, b'{"record":"snapshot"}', Aside("test"), begun(directory))
        for number in range(10):
            journal.write(b"%d" % number)
        journal.flushed(60)
        disk = Disk(journal.segment)
        for number in range(10, 30):
            journal.write(b"%d" % number)
        print("written", flush=True)
        journal.flushed(60)
    """
    with python(source, str(tmp_path / "outbox"), str(memory)) as process:
        assert told(process) == "written"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert kept(tmp_path / "outbox") == [b"%d" % number for number in range(10)]
    with run(tmp_path / "outbox"):
        assert kept(tmp_path / "outbox") == [b"%d" % number for number in range(30)]


def test_a_slate_is_nobody_elses(tmp_path: Path) -> None:
    slate = Slate(tmp_path / "slate")
    assert (tmp_path / "slate").stat().st_mode & 0o777 == 0o600
    slate.close(remove=True)
    assert not (tmp_path / "slate").exists()
