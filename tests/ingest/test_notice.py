from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from ingest import notice
from ingest.cli import cli
from ingest.state import Missed
from shared.process import UserError
from tests.ingest.test_cli import SETTINGS
from tests.ingest.test_intake import Desk, desk

NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def missed(number: int) -> Missed:
    at = NOW + timedelta(seconds=number)
    return Missed(at=at, what=f"bought {number} EURUSD", why="nobody looked", noted=at + timedelta(seconds=40))


def note(ours: Desk, *numbers: int) -> None:
    """Let the picture of the account list it, on disk."""
    album = ours.album
    picture = album.picture("demo", "10001")
    assert picture is not None
    album.put(replace(picture, missed=tuple(missed(number) for number in numbers)))
    ours.intake.keep()
    assert ours.outbox.journal.flushed(60)


def outbox(tmp_path: Path) -> Path:
    return tmp_path / "data" / "outbox"


def run(tmp_path: Path, *arguments: str) -> str:
    config = tmp_path / "tradecopier.toml"
    config.write_text(SETTINGS)
    return CliRunner().invoke(cli, ["untold", *arguments], obj=config, catch_exceptions=False).output


def test_it_is_listed_while_ingest_runs_and_after_and_no_more_once_it_was_seen(tmp_path: Path) -> None:
    with desk(outbox(tmp_path)) as ours:
        ours.poll("orders", [], 0)
        note(ours, 1, 2)
        assert run(tmp_path).splitlines() == [
            "demo: 2026-03-02 10:00:01 UTC, 10001: bought 1 EURUSD: nobody looked",
            "demo: 2026-03-02 10:00:02 UTC, 10001: bought 2 EURUSD: nobody looked",
        ]
        assert len(ours.intake.untold("demo")) == 2
        assert "bought 2" in run(tmp_path, "--clear")
        note(ours, 1, 2, 3)
        until = notice.wished(outbox(tmp_path))
        assert until == missed(2).noted
        ours.intake.forget(until)
        notice.done(outbox(tmp_path))
        assert notice.wished(outbox(tmp_path)) is None
    assert run(tmp_path) == "demo: 2026-03-02 10:00:03 UTC, 10001: bought 3 EURUSD: nobody looked\n"


def test_nothing_to_list_is_said_and_nothing_is_cleared(tmp_path: Path) -> None:
    with desk(outbox(tmp_path)) as ours:
        ours.poll("orders", [], 0)
    assert run(tmp_path, "--clear") == "nothing is listed\n"
    assert notice.wished(outbox(tmp_path)) is None


def test_without_an_outbox_it_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no outbox"):
        notice.pictures(tmp_path / "nowhere")


def test_what_cannot_be_read_is_said_and_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "seen.json").write_text("seen")
    assert notice.wished(tmp_path) is None
    assert "cannot be read" in caplog.text
    assert list(tmp_path.iterdir()) == []
