"""A disk that hangs: every write to a segment stands still in the kernel until the disk is let go."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from ingest.segments import Segment

CHUNK = 4096


class Disk:
    """Stands where the segment's file was: a pipe that is full, which nobody reads until `release`."""

    def __init__(self, segment: Segment) -> None:
        self._fd = segment._fd
        self._file = os.dup(self._fd)
        self._source, end = os.pipe()
        os.set_blocking(end, False)
        self._stuffing = 0
        try:
            while True:
                self._stuffing += os.write(end, bytes(CHUNK))
        except BlockingIOError:
            os.set_blocking(end, True)
        os.dup2(end, self._fd)
        os.close(end)
        self._reader = Thread(target=self._read, daemon=True)

    def release(self) -> None:
        """Let everything that was written, and will be, pass to the file."""
        if not self._reader.is_alive():
            self._reader.start()

    def _read(self) -> None:
        left = self._stuffing
        while found := os.read(self._source, CHUNK):
            record, left = found[left:], max(0, left - len(found))
            if record:
                os.write(self._file, record)

    def close(self) -> None:
        """Put the file back; nothing may be under way any more."""
        self.release()
        os.dup2(self._file, self._fd)
        self._reader.join()
        os.close(self._file)
        os.close(self._source)


@contextmanager
def stuck(segment: Segment) -> Iterator[Disk]:
    """The disk under a segment hangs, until it is let go or the context ends."""
    disk = Disk(segment)
    try:
        yield disk
    finally:
        disk.close()
