"""What every process writes about itself, to standard error: JSON lines for machines, readable ones on a terminal.

Each line carries the service and, inside `correlated`, the id of the fact it is about. Values go into `extra`, not
into the text: `log.info("published", extra={"seq": 7})`. Nothing secret is written: a `Secret` shows no value, and a
password inside an address is blanked even when it comes from a library's error.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

Form = Literal["auto", "json", "readable"]

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
