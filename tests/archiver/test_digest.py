"""The summary and the page from a real archive, whole or not at all."""

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from archiver.digest import period, told, write_page
from archiver.journal import Question
from archiver.patience import Away
from archiver.progress import Progress
from shared.process import UserError
from tests.archiver.test_journal import archive_of, hedging
from tests.conftest import Database

NOW = datetime(2026, 11, 26, tzinfo=UTC)
ALL = Question(namespace="main")


def quiet() -> Progress:
    return Progress("trades", lambda _: None, lambda: 0.0)


async def test_the_summary_has_money_latency_and_denials(any_postgres: Database) -> None:
    dsn = await archive_of(any_postgres, hedging().messages)
    text = "\n".join(told(dsn, ALL, quiet(), "table"))
    assert "net profit        +320.50" in text
    assert "win rate          100.0% (1 won, 0 lost)" in text
    assert "click to order    2.0 ms on average" in text
    assert "average slippage  1.82 bp of the price" in text
    assert "1 x denied: too-late" in text
    as_json = json.loads(*told(dsn, ALL, quiet(), "json"))
    assert as_json["one"]["net"] == "320.5"
    assert as_json["two"]["denials"] == [{"result": "denied", "reason": "too-late", "count": 1}]


def test_a_summary_has_no_csv(archive: Database) -> None:
    with pytest.raises(UserError, match="--summary has no --csv"):
        told(archive.dsn, ALL, quiet(), "csv")


async def test_the_page_is_written_whole(archive: Database, tmp_path: Path) -> None:
    dsn = await archive_of(archive, hedging().messages)
    write_page(tmp_path / "journal.html", dsn, ALL, quiet(), NOW)
    text = (tmp_path / "journal.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert "+320.50" in text
    assert not (tmp_path / "journal.html.new").exists()


def test_a_page_that_cannot_be_written_is_one_line(archive: Database, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be written"):
        write_page(tmp_path / "none" / "journal.html", archive.dsn, ALL, quiet(), NOW)


def test_an_archive_that_is_away_leaves_the_old_page_alone(tmp_path: Path) -> None:
    (tmp_path / "journal.html").write_text("old")
    with pytest.raises(Away):
        write_page(tmp_path / "journal.html", "postgresql://x@127.0.0.1:1/x", ALL, quiet(), NOW)
    assert (tmp_path / "journal.html").read_text() == "old"


@pytest.mark.parametrize(
    ("question", "text"),
    [
        (ALL, "all trades"),
        (Question(namespace="main", first=date(2026, 1, 1), last=date(2026, 1, 1)), "2026-01-01"),
        (Question(namespace="main", first=date(2026, 1, 1), account="main"), "2026-01-01 to today, main"),
        (Question(namespace="main", last=date(2026, 1, 1), instrument="EURUSD"), "the beginning to 2026-01-01, EURUSD"),
    ],
)
def test_a_period_is_said_in_words(question: Question, text: str) -> None:
    assert period(question) == text
