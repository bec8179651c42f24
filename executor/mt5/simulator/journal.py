"""The account on disk: every change is in the file before its answer is given, so that a kill loses nothing answered.

A record is a length (u32, little-endian) and a msgpack `Change`. A kill in the middle of a write leaves a torn tail,
which is cut off when the file is opened; nobody has been told of it. Opening also rewrites the file as one record.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from executor.mt5.child import HEADER, take_frame
from executor.mt5.simulator.store import Change, Store

FILE = "account.journal"


class Journal:
    """The file of one account; only one process may have it open, which the caller ensures."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._file = -1

    def open(self, store: Store) -> bool:
        """Repeat what the file says in the store and keep it open for more; False when there was nothing yet."""
        existed = self._load(store)
        compact = self._path.with_suffix(".new")
        compact.write_bytes(_record(store.whole()))
        compact.replace(self._path)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        store.take_change()
        return existed

    def write(self, store: Store) -> None:
        """Append what has changed since the last time."""
        change = store.take_change()
        if change is not None:
            os.write(self._file, _record(change))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _load(self, store: Store) -> bool:
        if not self._path.exists():
            return False
        decoder = msgspec.msgpack.Decoder(Change)
        buffer = bytearray(self._path.read_bytes())
        while (frame := take_frame(buffer)) is not None:
            store.apply(decoder.decode(frame))
        return True


def _record(change: Change) -> bytes:
    payload = msgspec.msgpack.encode(change)
    return HEADER.pack(len(payload)) + payload
