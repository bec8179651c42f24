"""The journal's summary, from the archive to the terminal or into a page; rows stream, so memory stays flat."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from archiver import journal, summary
from archiver.journal import Question
from archiver.page import Page
from archiver.progress import Progress
from archiver.summary import Line, Summary
from shared.process import UserError


def told(dsn: str, question: Question, progress: Progress, form: Literal["table", "csv", "json"]) -> Iterator[str]:
    """The summary as lines. Raises Away, and UserError for a form that it does not have."""
    if form == "csv":
        raise UserError("--summary has no --csv; use --json, or --csv without --summary")
    found = Summary()
    for values in progress.counted(journal.trades(dsn, question, summary.COLUMNS)):
        found.add(Line.of(values))
    found.denied(journal.denials(dsn, question))
    return iter([summary.record(found)]) if form == "json" else summary.lines(found)


def write_page(file: Path, dsn: str, question: Question, progress: Progress, now: datetime) -> None:
    """Write the page, whole or not at all. Raises Away, and UserError when the file cannot be written."""
    page = Page()
    for values in progress.counted(journal.trades(dsn, question, summary.COLUMNS)):
        page.add(Line.of(values))
    page.summary.denied(journal.denials(dsn, question))
    text = page.text(period(question), now)
    fresh = file.with_name(f"{file.name}.new")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)
    except OSError as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from error


def period(question: Question) -> str:
    """What is asked for, in words."""
    if question.first and question.first == question.last:
        days = f"{question.first}"
    elif question.first or question.last:
        days = f"{question.first or 'the beginning'} to {question.last or 'today'}"
    else:
        days = "all trades"
    return ", ".join([days, *(name for name in (question.account, question.instrument) if name)])
