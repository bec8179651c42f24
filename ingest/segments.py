"""Append-only files on disk, a directory of numbered segments: what the outbox is written into.

A record is one line: the CRC-32 of its JSON in hex, a space, the JSON. It is written by one `write`, which hands it to
the kernel: from there it survives the end of our process at once, however that comes. A power cut or a kernel crash
can take what was not yet synced, which `Syncer` does off the hot path, at most `SYNC_WITHIN` after the write. Half a
record (the machine stopped, the disk was full) is noticed by its checksum and left out. Every process begins a segment
of its own.
"""

import logging
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event
from time import monotonic

from msgspec import Struct

from ingest.aside import Aside
from shared.process import UserError

log = logging.getLogger(__name__)

SYNC_WITHIN = 0.05
"""Seconds between a write and the start of its sync, on a disk that keeps up."""
SLOWEST_SYNC_S = 5.0
"""A sync that takes longer is as good as one that fails."""

_sync_file = getattr(os, "fdatasync", os.fsync)
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)


class Damaged(Struct, frozen=True):
    """Bytes in a segment that are no whole record. `last` is true when nothing follows: the write was cut off."""

    where: int
    size: int
    last: bool


class Segment:
    """The segment that is being written. `append` either writes the whole record or leaves the file as it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.crc = 0
        self._fd = os.open(path, _APPEND, 0o600)
        self._torn = False

    def append(self, record: bytes) -> None:
        """Write one record of JSON without line breaks. Raises OSError, then the record is not in the file."""
        if self._torn:
            self._cut()
        content = line(record)
        written = os.write(self._fd, content)
        if written != len(content):
            self._torn = True
            self._cut()
            raise OSError(28, f"only {written} of {len(content)} bytes could be written", str(self.path))
        self.size += written
        self.crc = zlib.crc32(content)

    def sync(self) -> None:
        """Make what was written durable. Waits for the disk; raises OSError."""
        _sync_file(self._fd)

    def close(self) -> None:
        """Sync what was written and close the file."""
        try:
            self.sync()
        finally:
            os.close(self._fd)

    def discard(self) -> None:
        """Close and remove a file that nothing could be written to."""
        os.close(self._fd)
        with suppress(OSError):
            self.path.unlink()

    def _cut(self) -> None:
        os.ftruncate(self._fd, self.size)
        self._torn = False


def line(record: bytes) -> bytes:
    """A record as it stands in a file."""
    return b"%08x %s\n" % (zlib.crc32(record), record)


def records(path: Path, start: int = 0) -> Iterator[bytes | Damaged]:
    """The records of a segment in their order, and what in it is none; from the byte `start` on."""
    content = path.read_bytes()
    while start < len(content):
        end = content.find(b"\n", start)
        stop = len(content) if end < 0 else end + 1
        found = content[start:stop]
        yield found[9:-1] if _sound(found) else Damaged(start, stop - start, stop == len(content))
        start = stop


def _sound(found: bytes) -> bool:
    return found[-1:] == b"\n" and found[8:9] == b" " and b"%08x" % zlib.crc32(found[9:-1]) == found[:8]


class Directory:
    """The segments of one outbox, oldest first, and the lock that keeps every other process out of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = _lock(path / "lock")

    def segments(self) -> list[Path]:
        """The segments, oldest first."""
        return sorted(self.path.glob("*.journal"))

    def begin(self) -> Segment:
        """Start the next segment; its name is durable after `sync`."""
        newest = max((int(p.stem) for p in self.segments()), default=0)
        return Segment(self.path / f"{newest + 1:010}.journal")

    def extend(self, more: Iterable[bytes]) -> None:
        """Put records behind the last one of the newest segment. Waits for the disk; raises OSError."""
        path = self.segments()[-1]
        torn = [found.where for found in records(path) if isinstance(found, Damaged) and found.last]
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
        with os.fdopen(fd, "ab") as file:
            if torn:
                file.truncate(torn[0])
            file.writelines(line(record) for record in more)
            file.flush()
            _sync_file(file.fileno())

    def reaches(self, path: Path, size: int, crc: int) -> bool:
        """Whether a segment has a line that ends at `size` and has that checksum, as `Segment.crc` tells it."""
        content = path.read_bytes()[:size]
        start = content.rfind(b"\n", 0, max(0, size - 1)) + 1
        return len(content) == size and zlib.crc32(content[start:]) == crc

    def sync(self) -> None:
        """Make the names of all segments durable. Waits for the disk."""
        _sync_directory(self.path)

    def close(self) -> None:
        """Let other processes in."""
        os.close(self._lock)


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise UserError(
            f"{path.parent}: another ingest uses this outbox; stop it or set another ingest.outbox"
        ) from error
    return fd


def _sync_directory(path: Path) -> None:
    """Make a new file's name durable; Windows has no such call and needs none."""
    if sys.platform != "win32":
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


class Syncer:
    """Syncs the newest segment soon after each write, `aside`, so that nobody waits for the disk."""

    def __init__(self, aside: Aside) -> None:
        self._aside = aside
        self._segment: Segment | None = None
        self._is_due = False
        self._hurry = Event()
        self._begun: float | None = None
        self._failed = False

    @property
    def failing(self) -> bool:
        """Whether the last sync failed, or the one that is under way takes far too long."""
        begun = self._begun
        return self._failed or (begun is not None and monotonic() - begun > SLOWEST_SYNC_S)

    def written(self, segment: Segment) -> None:
        """Something was written to `segment`. May be called from any thread."""
        self._segment = segment
        if not self._is_due:
            self._is_due = True
            self._aside.do(self._sync)

    def hurry(self) -> None:
        """From now on sync at once: we end."""
        self._hurry.set()

    def _sync(self) -> None:
        """What fails is said once and tried again with the next write."""
        self._hurry.wait(SYNC_WITHIN / 2)
        self._is_due, self._begun = False, monotonic()
        assert self._segment is not None
        try:
            self._segment.sync()
        except OSError as error:
            if not self._failed:
                log.error(
                    "the outbox cannot be synced to disk: %s", error.strerror, extra={"file": str(self._segment.path)}
                )
            self._failed = True
        else:
            self._failed = False
        finally:
            self._begun = None
