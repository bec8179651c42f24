"""Append-only files on disk, a directory of numbered segments: what the outbox is written into.

A record is one line: the CRC-32 of its JSON in hex, a space, the JSON. It is written by one `write`, which hands it to
the kernel: from there it survives the end of our process at once, however that comes. A power cut or a kernel crash
can take what was not yet synced, which `Syncer` does off the hot path, at most `SYNC_WITHIN` after the write. Half a
record (the machine stopped, the disk was full) is noticed by its checksum and left out. Every process begins a segment
of its own.
"""

import asyncio
import logging
import os
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from shared.process import UserError

log = logging.getLogger(__name__)

SYNC_WITHIN = 0.05
"""Seconds between a write and the start of its sync, on a disk that keeps up."""

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
        self._fd = os.open(path, _APPEND, 0o600)
        self._torn = False

    def append(self, record: bytes) -> None:
        """Write one record of JSON without line breaks. Raises OSError, then the record is not in the file."""
        if self._torn:
            self._cut()
        line = b"%08x %s\n" % (zlib.crc32(record), record)
        written = os.write(self._fd, line)
        if written != len(line):
            self._torn = True
            self._cut()
            raise OSError(28, f"only {written} of {len(line)} bytes could be written", str(self.path))
        self.size += written

    def duplicate(self) -> int:
        """A file descriptor of its own, for a sync that may outlive this object."""
        return os.dup(self._fd)

    def close(self) -> None:
        """Sync what was written and close the file."""
        try:
            _sync_file(self._fd)
        finally:
            os.close(self._fd)

    def _cut(self) -> None:
        os.ftruncate(self._fd, self.size)
        self._torn = False


def records(path: Path) -> Iterator[bytes | Damaged]:
    """The records of a segment in their order, and what in it is none."""
    content = path.read_bytes()
    start = 0
    while start < len(content):
        end = content.find(b"\n", start)
        stop = len(content) if end < 0 else end + 1
        line = content[start:stop]
        yield line[9:-1] if _sound(line) else Damaged(start, stop - start, stop == len(content))
        start = stop


def _sound(line: bytes) -> bool:
    return line[-1:] == b"\n" and line[8:9] == b" " and b"%08x" % zlib.crc32(line[9:-1]) == line[:8]


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
    """Syncs the newest segment soon after each write, in a thread, so that nobody waits for the disk."""

    def __init__(self) -> None:
        self._dirty = asyncio.Event()
        self._segment: Segment | None = None
        self.failing = False

    def written(self, segment: Segment) -> None:
        """Something was written to `segment`."""
        self._segment = segment
        self._dirty.set()

    async def run(self) -> None:
        """Sync for ever. What fails is said once and tried again with the next write."""
        while True:
            await self._dirty.wait()
            await asyncio.sleep(SYNC_WITHIN / 2)
            self._dirty.clear()
            if self._segment is not None:
                await self._sync(self._segment.duplicate(), self._segment.path)

    async def _sync(self, fd: int, path: Path) -> None:
        try:
            await asyncio.to_thread(_sync_and_close, fd)
        except OSError as error:
            if not self.failing:
                log.error("the outbox cannot be synced to disk: %s", error.strerror, extra={"file": str(path)})
            self.failing = True
        else:
            self.failing = False


def _sync_and_close(fd: int) -> None:
    try:
        _sync_file(fd)
    finally:
        os.close(fd)
