"""The newest records once more, in a file that lies in the machine's memory: it takes at once what a disk takes later.

Writing there waits for no disk, and like the page cache it outlives our process, though not the machine. What the disk
did not have yet when we were killed is put behind what it had at the next start (`rescue`). Where a system has no such
place there is no slate, and who has to wait waits for the disk.

The file is mapped into our memory, so that a record is put down without asking the kernel. Its length stands before it
and is written when it is there, so that one at which we were killed is none; a length of zero is the end. The file's
room is reserved: what is not there cannot be written to, and would end our process.
"""

import hashlib
import logging
import os
import stat
import sys
from contextlib import suppress
from mmap import MAP_POPULATE, MAP_SHARED, mmap
from pathlib import Path
from time import time

import msgspec
from msgspec import Struct

from ingest.segments import Directory, records

log = logging.getLogger(__name__)

MEMORY = Path("/dev/shm")  # noqa: S108  who owns a file in there is looked at
LONGEST = 256 * 1024
"""A slate that is longer begins anew as soon as the disk has everything."""
ROOM = 2 * LONGEST
"""So many bytes are reserved for it; twice as many whenever they are not enough, as when the disk hangs."""

EMPTY_S = 3600
"""A slate with nothing on it that is so old was left by a process that ended before it had begun it."""

_SNAPSHOT = b'{"record":"snapshot"'
_LENGTH = 4
_END = bytes(_LENGTH)


class Place(Struct, frozen=True, kw_only=True, tag="slate", tag_field="record"):
    """What the disk had when the slate was begun: a segment of `directory` up to `size`; `crc` is its last line's."""

    directory: str
    segment: str
    size: int
    crc: int


class Slate:
    """One outbox's slate. `is_good`: it holds every record since it was begun."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = _open(path)
        self._map: mmap | None = None
        self._room = 0
        self.size = 0
        self.is_good = False

    def begin(self, place: Place) -> None:
        """Forget everything: the disk has it."""
        try:
            self._clear()
            self.is_good = True
            self.add(msgspec.json.encode(place))
        except OSError as error:
            log.warning("%s cannot be used, so trading calls wait for the disk: %s", self._path, error.strerror)
            self.is_good = False

    def add(self, record: bytes) -> bool:
        """Put down a record; False: there is no room, nor for any later one until the slate begins anew."""
        if self.is_good:
            length, start = len(record), self.size + _LENGTH
            end = start + length
            if end + _LENGTH > self._room and not self._extended(end + _LENGTH):
                self.is_good = False
                return False
            assert self._map is not None, "it was begun"
            self._map[start : end + _LENGTH] = record + _END
            self._map[self.size : start] = length.to_bytes(_LENGTH, "little")
            self.size = end
        return self.is_good

    def close(self, *, remove: bool) -> None:
        """End; `remove` when the disk has everything."""
        if remove:
            self._path.unlink(missing_ok=True)
        self._unmap()
        os.close(self._fd)

    def _clear(self) -> None:
        if self._map is not None and self._room == ROOM:
            self._map[:_LENGTH] = _END
        else:
            self._unmap()
            os.ftruncate(self._fd, 0)
            self._reserve(ROOM)
        self.size = 0

    def _extended(self, end: int) -> bool:
        """Whether there is room for so many bytes now."""
        room = max(2 * self._room, end)
        try:
            self._unmap()
            self._reserve(room)
        except OSError:
            return False
        return True

    def _reserve(self, room: int) -> None:
        """Map so many bytes that are really there. Raises OSError."""
        os.posix_fallocate(self._fd, 0, room)
        self._map, self._room = mmap(self._fd, room, MAP_SHARED | MAP_POPULATE), room

    def _unmap(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map, self._room = None, 0


def begun(directory: Directory) -> Slate | None:
    """The slate of an outbox, when what it holds has been rescued; None: there is no such place here.

    Raises OSError when the disk does not take what was rescued; then it stays where it is.
    """
    if not MEMORY.is_dir():
        return None
    _sweep()
    path = _path(directory)
    try:
        slate = Slate(path)
    except OSError as error:
        log.warning("%s cannot be used, so trading calls wait for the disk: %s", path, error)
        return None
    try:
        rescue(directory, path)
    except OSError:
        slate.close(remove=False)
        raise
    return slate


def rescue(directory: Directory, path: Path) -> None:
    """Put what the disk did not have yet behind what it has. What does not belong to it is left out, loudly."""
    found = left(path)
    if not found:
        return
    taken, kept = _taken(directory, found[0]), found[1:]
    if taken is None or kept[: len(taken)] != taken:
        log.error("%s does not go on from what is on disk, so %d records in it are left out", path, len(kept))
    elif missing := kept[len(taken) :]:
        directory.extend(missing)
        log.warning("%d records that the disk did not have when the last run ended have been put there", len(missing))


def left(path: Path) -> list[bytes]:
    """What is on a slate: what the disk had when it was begun, and the records since."""
    content, found, start = path.read_bytes(), [], 0
    while length := int.from_bytes(content[start : start + _LENGTH], "little"):
        found.append(content[start + _LENGTH : start + _LENGTH + length])
        start += _LENGTH + length
    return found


def _taken(directory: Directory, heading: bytes) -> list[bytes] | None:
    """What the disk has got since the slate was begun; None when it is not this disk's."""
    try:
        place = msgspec.json.decode(heading, type=Place)
    except msgspec.DecodeError:
        return None
    paths = directory.segments()
    names = [path.name for path in paths]
    if place.directory != str(directory.path.resolve()) or place.segment not in names:
        return None
    first = paths[names.index(place.segment)]
    if not directory.reaches(first, place.size, place.crc):
        return None
    later = [found for path in paths if path.name > place.segment for found in records(path)]
    found = [*records(first, place.size), *later]
    return [one for one in found if isinstance(one, bytes) and not one.startswith(_SNAPSHOT)]


def remaining(outbox: Path) -> list[Path]:
    """The slates of an outbox, whoever's: one while its ingest runs, else what one has left that was killed."""
    return sorted(MEMORY.glob(f"tradecopier-*-{_name(outbox)}.slate"))


def _path(directory: Directory) -> Path:
    return MEMORY / f"tradecopier-{_user()}-{_name(directory.path)}.slate"


def _name(outbox: Path) -> str:
    return hashlib.sha256(str(outbox.resolve()).encode()).hexdigest()[:16]


def _open(path: Path) -> int:
    """Raises OSError: it cannot be had, another process has it, or it is somebody else's, who could have put trades
    into it.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0), 0o600)
    found = os.fstat(fd)
    if found.st_uid != _user() or stat.S_IMODE(found.st_mode) & 0o077 or found.st_nlink != 1:
        os.close(fd)
        raise PermissionError(13, "it is not ours alone", str(path))
    try:
        _lock(fd)
        if path.stat().st_ino != found.st_ino:
            raise FileNotFoundError(2, "it was removed meanwhile", str(path))
    except OSError:
        os.close(fd)
        raise
    return fd


def _lock(fd: int) -> None:
    """Raises OSError: it is another process's. Containers can share this memory, and have outboxes of one name."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def _sweep() -> None:
    """Remove the slates of outboxes that are gone, and those on which nothing was ever put."""
    for path in MEMORY.glob(f"tradecopier-{_user()}-*.slate"):
        with suppress(OSError, msgspec.DecodeError):
            if not _is_wanted(path):
                fd = _open(path)  # nobody has it
                path.unlink()
                os.close(fd)


def _is_wanted(path: Path) -> bool:
    heading = left(path)[:1]
    if not heading:
        return path.stat().st_mtime > time() - EMPTY_S
    return Path(msgspec.json.decode(heading[0], type=Place).directory).is_dir()
