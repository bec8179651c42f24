"""Lines that machines and people can read, about one fact where there is one, and without anything secret."""

import asyncio
import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from shared import logs
from shared.settings import Secret


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def fresh_root() -> Iterator[None]:
    """The root logger without the handlers of others, put back as it was."""
    handlers, level = logging.root.handlers[:], logging.root.level
    logging.root.handlers.clear()
    yield
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_json_where_nobody_watches() -> None:
    logs.configure("ingest", stream=(stream := io.StringIO()))
    logging.getLogger("ingest.tap").info("published", extra={"seq": 7})
    (line,) = lines(stream)
    assert str(line.pop("time")).endswith("+00:00")
    assert line == {
        "level": "info",
        "service": "ingest",
        "logger": "ingest.tap",
        "message": "published",
        "seq": 7,
    }


def test_a_line_is_readable_on_a_terminal() -> None:
    logs.configure("ingest", stream=(stream := Terminal()))
    with logs.correlated("tv/1/2/3"):
        logging.getLogger("ingest.tap").warning("late", extra={"ms": 12})
    _, rest = stream.getvalue().split(" ", 1)
    assert rest == "WARNING  ingest: late ms=12 [tv/1/2/3]\n"


@pytest.mark.parametrize(("form", "is_json"), [("json", True), ("readable", False)])
def test_the_form_can_be_chosen(form: logs.Form, is_json: bool) -> None:
    logs.configure("ingest", form=form, stream=(stream := Terminal()))
    logging.getLogger("x").info("y")
    assert stream.getvalue().startswith("{") == is_json


async def test_the_fact_follows_into_tasks_and_ends_with_its_context() -> None:
    logs.configure("executor", stream=(stream := io.StringIO()))

    async def work() -> None:
        logging.getLogger("x").info("inside")

    with logs.correlated("fact-1"):
        task = asyncio.create_task(work())
    await task
    logging.getLogger("x").info("outside")
    assert [line.get("fact") for line in lines(stream)] == ["fact-1", None]


@pytest.mark.parametrize("form", ["json", "readable"])
def test_no_secret_is_written(form: logs.Form) -> None:
    logs.configure("executor", form=form, stream=(stream := io.StringIO()))
    log = logging.getLogger("x")
    log.info("connecting to %s", "redis://:hunter2@127.0.0.1:6379/0", extra={"key": Secret("hunter2")})
    log.info("value %s", Secret("hunter2"), extra={"nested": {"dsn": "postgresql://me:hunter2@db/x"}})
    try:
        raise ConnectionError("cannot reach redis://user:hunter2@host:1")
    except ConnectionError:
        log.exception("failed")
    assert "hunter2" not in stream.getvalue()
    assert "127.0.0.1:6379" in stream.getvalue()


def test_a_trace_stays_within_its_json_line() -> None:
    logs.configure("executor", stream=(stream := io.StringIO()))
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("x").exception("failed")
    (line,) = lines(stream)
    assert "ValueError: no" in str(line["trace"])


def test_configuring_again_renames_the_service_and_keeps_the_rest() -> None:
    logs.configure("tradecopier", "WARNING", stream=(stream := io.StringIO()))
    logs.configure("executor", "DEBUG", stream=io.StringIO())
    logging.getLogger("x").info("too quiet")
    logging.getLogger("x").warning("heard")
    assert [line["service"] for line in lines(stream)] == ["executor"]


def test_whoever_logs_never_waits_for_whoever_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "WAITING", 500)
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as stream:
        logs.configure("ingest", stream=stream)
        found: list[bytes] = []
        log, long = logging.getLogger("x"), "x" * 200
        with ExitStack() as stack:
            stack.enter_context(logs.unhurried())
            for number in range(3000):  # far more than a pipe holds, and nobody reads
                log.info("%s", long, extra={"number": number})
            taken = threading.Thread(target=_taken, args=(reading, found))
            taken.start()
        log.info("directly again")
    taken.join()
    rows = [json.loads(line) for line in found]
    numbers = [row["number"] for row in rows if "number" in row]
    assert numbers == sorted(numbers)
    assert 0 < len(numbers) < 3000
    said = [str(row["message"]) for row in rows if "left out" in str(row["message"])]
    assert sum(int(text.partition(" ")[0]) for text in said) == 3000 - len(numbers)
    assert rows[-1]["message"] == "directly again"


def _taken(reading: int, found: list[bytes]) -> None:
    with os.fdopen(reading, "rb") as stream:
        found += stream.readlines()


def test_a_service_that_ends_does_not_wait_for_ever_for_its_last_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LAST_WORDS_S", 0.1)
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w")
    logs.configure("ingest", stream=stream)
    with logs.unhurried():
        logging.getLogger("x").info("%s", "x" * 1_000_000)
    os.close(reading)
    with suppress(BrokenPipeError):
        stream.close()


def test_a_renamed_service_is_renamed_for_the_thread_too() -> None:
    logs.configure("tradecopier", stream=(stream := io.StringIO()))
    with logs.unhurried():
        logs.configure("executor")
        with logs.correlated("fact-1"):
            logging.getLogger("x").info("said")
    (line,) = lines(stream)
    assert (line["service"], line["fact"]) == ("executor", "fact-1")
