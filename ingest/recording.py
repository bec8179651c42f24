"""Recordings on request: what passes on the trading hosts, without secrets, in a file that `ingest explain` reads.

A request is a small file beside the outbox, written by `ingest record` and found by the running proxy, which needs no
restart for it. A recording has one JSON object per line: first a heading, then what passed, in its order.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from ingest.exchange import Exchange, Frame
from ingest.redaction import redacted
from shared.process import UserError

log = logging.getLogger(__name__)

LONGEST_BYTES = 100 * 1024 * 1024
"""A recording ends when it is this long: nobody may have forgotten it on a full disk."""

Moment = tuple[datetime, Exchange | Frame]


class Wish(Struct, frozen=True, kw_only=True):
    """What is asked for: into which file, until when (UTC), and whether everything or only what nobody knows."""

    file: str
    until: datetime
    everything: bool = False


class Heading(Struct, frozen=True, kw_only=True, tag="tradecopier", tag_field="recording"):
    """The first line of a recording."""

    begun: datetime


class Passed(Struct, frozen=True, kw_only=True, tag="exchange", tag_field="recording"):
    """A request with its reply."""

    exchange: Exchange


class Pushed(Struct, frozen=True, kw_only=True, tag="frame", tag_field="recording"):
    """A websocket message."""

    frame: Frame


Line = Heading | Passed | Pushed

_ENCODER = msgspec.json.Encoder()
_LINES: "msgspec.json.Decoder[Line]" = msgspec.json.Decoder(Line)
_WISH = msgspec.json.Decoder(Wish)


def wish_file(outbox: Path) -> Path:
    """Where a wish is put down for the ingest whose outbox that is."""
    return outbox / "recording.json"


def ask(outbox: Path, wish: Wish) -> Path:
    """Put down a wish; the file that ends it when it is removed. Raises UserError: no ingest has ever run here."""
    if not outbox.is_dir():
        raise UserError(f"{outbox}: there is no outbox, so no proxy runs with these settings: start it first")
    path = wish_file(outbox)
    draft = path.with_suffix(".new")
    draft.write_bytes(_ENCODER.encode(wish))
    draft.replace(path)
    return path


class Recorder:
    """The running proxy's side: `look` finds wishes, `heard` writes down what passes while there is one."""

    def __init__(self, outbox: Path) -> None:
        self._wish_file = wish_file(outbox)
        self._wish: Wish | None = None
        self._file: IO[bytes] | None = None
        self._size = 0

    @property
    def wants_everything(self) -> bool | None:
        """Whether everything is recorded (true) or only what nobody knows (false); `None` when nothing is."""
        return self._wish.everything if self._wish and self._file else None

    def has_to_look(self) -> bool:
        """Whether there is a wish, or was one. Asks the disk."""
        return self._wish is not None or self._wish_file.exists()

    def look(self, now: datetime) -> None:
        """Begin or end as is wished. Never raises."""
        try:
            wish = self._read()
            if wish is not None and now >= wish.until:
                self._wish_file.unlink(missing_ok=True)
                wish = None
            if wish != self._wish:
                self._change(wish, now)
        except OSError as error:
            log.error("the recording cannot be written: %s", error)
            self._give_up()

    def heard(self, heard: Exchange | Frame, *, is_known: bool) -> None:
        """Write down what has passed, if it is wished. Never raises."""
        everything = self.wants_everything
        if self._file is None or everything is None or (is_known and not everything):
            return
        clean = redacted(heard, is_known=is_known)
        try:
            self._write(Passed(exchange=clean) if isinstance(clean, Exchange) else Pushed(frame=clean))
        except OSError as error:
            log.error("the recording ends, it cannot be written: %s", error.strerror)
            self._give_up()

    def close(self) -> None:
        """Close the file; a wish stays for the next start."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _read(self) -> Wish | None:
        try:
            return _WISH.decode(self._wish_file.read_bytes())
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, ValueError) as error:
            log.error("%s is no wish for a recording and is removed: %s", self._wish_file, error)
            self._wish_file.unlink(missing_ok=True)
            return None

    def _change(self, wish: Wish | None, now: datetime) -> None:
        if self._wish is not None:
            log.warning("the recording %s has ended", self._wish.file)
        self.close()
        self._wish = wish
        if wish is not None:
            self._file = os.fdopen(os.open(wish.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab", buffering=0)
            self._size = self._file.tell()
            self._write(Heading(begun=now))
            log.warning("recording to %s until %s", wish.file, wish.until)

    def _write(self, line: Line) -> None:
        assert self._file is not None
        self._size += self._file.write(_ENCODER.encode(line) + b"\n")
        if self._size > LONGEST_BYTES:
            log.warning("the recording is %d bytes long and ends", self._size)
            self._give_up()

    def _give_up(self) -> None:
        self.close()
        self._wish_file.unlink(missing_ok=True)
        self._wish = None


def is_recording(path: Path) -> bool:
    """Whether a file is one of ours, going by its beginning."""
    with path.open("rb") as file:
        return file.read(30).startswith(b'{"recording":"tradecopier"')


def recorded(path: Path) -> Iterator[Moment]:
    """What a recording of ours holds, with the moment of each; a request and its reply are two. Raises UserError
    behind what can be read."""
    try:
        for line in path.read_bytes().splitlines():
            yield from _moments(_LINES.decode(line))
    except (OSError, msgspec.DecodeError, ValueError) as error:
        raise UserError(f"{path}: cut off, or not a recording of this version: {error}") from error


def as_far_as_readable(recording: Iterable[Moment]) -> tuple[list[Moment], UserError | None]:
    """What can be read of a recording, and what is wrong with the rest: where its proxy was killed it is cut off."""
    found: list[Moment] = []
    try:
        found.extend(recording)
    except UserError as error:
        return found, error
    return found, None


def _moments(line: Line) -> Iterator[Moment]:
    if isinstance(line, Pushed):
        yield line.frame.at, line.frame
    elif isinstance(line, Passed):
        found = line.exchange
        yield found.asked, replace(found, status=None, answer=None, answered=None, error="")
        yield found.answered or found.asked, found
