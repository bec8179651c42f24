"""What every process writes about itself, to standard error: JSON lines for machines, readable ones on a terminal.

Each line carries the service and, inside `correlated`, the id of the fact it is about. Values go into `extra`, not
into the text: `log.info("published", extra={"seq": 7})`. Nothing secret is written: a `Secret` shows no value, and a
password inside an address is blanked even when it comes from a library's error.

While a service runs, a thread writes: a pipe that nobody empties, a terminal that was stopped with Ctrl-S or a slow
disk holds up the log and nobody who logs.
"""

import json
import logging
import queue
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Form = Literal["auto", "json", "readable"]

WAITING = 10_000
"""So many lines wait for whoever reads them; more are left out and counted."""
LAST_WORDS_S = 2.0
"""How long a service that ends waits for its last lines to be taken."""

_correlation: ContextVar[str | None] = ContextVar("correlation", default=None)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_PASSWORD = re.compile(r"(?<=://)([^\s:/@'\"]*):[^\s/@'\"]+@")


@contextmanager
def correlated(identity: str) -> Iterator[None]:
    """Mark all that is logged in this context, tasks started in it included, as being about one fact."""
    token = _correlation.set(identity)
    try:
        yield
    finally:
        _correlation.reset(token)


def configure(service: str, level: str = "INFO", form: Form = "auto", stream: TextIO | None = None) -> None:
    """Send the log to `stream` (default: standard error); `auto` is readable on a terminal and JSON elsewhere.

    Called again, it only tells the service's name, so that what the command line chose stays.
    """
    for handler in logging.root.handlers:
        if isinstance(handler.formatter, _Lines):
            handler.formatter.service = service
            return
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    readable = form == "readable" or (form == "auto" and target.isatty())
    handler.setFormatter(ReadableLines(service) if readable else JsonLines(service))
    logging.root.addHandler(handler)
    logging.root.setLevel(level)


@contextmanager
def unhurried() -> Iterator[None]:
    """Let a thread write the log meanwhile, so that no work waits for it; at the end the last lines are out."""
    ours = [
        h for h in logging.root.handlers if isinstance(h.formatter, _Lines) and isinstance(h, logging.StreamHandler)
    ]
    beside = [_Beside(handler) for handler in ours]
    _exchange(ours, beside)
    try:
        yield
    finally:
        _exchange(beside, ours)
        for each in beside:
            each.finish()


def _exchange(old: Sequence[logging.Handler], new: Sequence[logging.Handler]) -> None:
    for before, after in zip(old, new, strict=True):
        logging.root.addHandler(after)
        logging.root.removeHandler(before)


class _Beside(logging.Handler):
    """Takes the place of a handler and hands its lines to a thread."""

    def __init__(self, writer: logging.StreamHandler[TextIO]) -> None:
        super().__init__(writer.level)
        self.formatter = writer.formatter
        self._stream = writer.stream
        self._lines: queue.Queue[str | None] = queue.Queue(WAITING)
        self._left_out = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Never waits."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._left_out += 1
        except Exception:  # noqa: BLE001  as every handler does: what cannot be formatted is shown and raises nothing
            self.handleError(record)

    def finish(self) -> None:
        """Wait for the last lines, as long as somebody takes them."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=LAST_WORDS_S)
            self._thread.join(LAST_WORDS_S)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            self._put(f"{line}\n{self._note()}")
        self._put(self._note())

    def _put(self, text: str) -> None:
        with suppress(OSError, ValueError):  # nobody reads any more: there is nobody to tell either
            self._stream.write(text)
            self._stream.flush()

    def _note(self) -> str:
        left_out, self._left_out = self._left_out, 0
        text = f"{left_out} lines of the log were left out: nobody took them"
        told = logging.makeLogRecord({"name": __name__, "levelname": "WARNING", "msg": text})
        return f"{self.format(told)}\n" if left_out else ""


class _Lines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        return without_passwords(self.line(record))

    def line(self, record: logging.LogRecord) -> str:
        raise NotImplementedError


class JsonLines(_Lines):
    """One JSON object per line: time (UTC), level, service, logger, message, fact, what was given as `extra`, trace."""

    def line(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (fact := _correlation.get()) is not None:
            entry["fact"] = fact
        entry |= extras(record)
        if record.exc_info:
            entry["trace"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class ReadableLines(_Lines):
    """For a person: local time, level, service, message, `name=value` pairs; a trace follows on lines of its own."""

    def line(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S.%f")[:-3]
        words = [time, f"{record.levelname:<8}", f"{self.service}:", record.getMessage()]
        words += [f"{name}={value}" for name, value in extras(record).items()]
        if (fact := _correlation.get()) is not None:
            words.append(f"[{fact}]")
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return " ".join(words) + trace


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """What the caller gave as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def without_passwords(text: str) -> str:
    """The text with the password of every address in it blanked: `redis://:…@host`."""
    return _PASSWORD.sub(r"\1:…@", text)
