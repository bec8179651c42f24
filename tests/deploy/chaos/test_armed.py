"""A proxy is armed once, by a file; everything else that `up` starts is as it is."""

import sys
from pathlib import Path
from typing import Any

import pytest

from deploy import cli, local
from deploy.chaos import armed
from deploy.fleet import Fleet
from deploy.worker import Job


@pytest.fixture
def wish(tmp_path: Path) -> Path:
    return tmp_path / "armed"


def test_only_the_first_proxy_that_finds_the_file_is_armed(wish: Path) -> None:
    assert armed.asked(wish) == []
    wish.write_text("replied:2")
    assert armed.asked(wish) == ["--die-at", "replied:2"]
    assert armed.asked(wish) == []


def test_a_proxy_is_started_through_here_and_no_other_service(
    monkeypatch: pytest.MonkeyPatch, wish: Path, tmp_path: Path
) -> None:
    def service(_self: Any, name: str, service: str, accounts: Any = ()) -> Job:
        return Job(name, ["python", "-m", "deploy", "--config", "c", service, "run"], {}, tmp_path)

    monkeypatch.setattr(Fleet, "_service", service)
    fleet: Any = object.__new__(armed.through(wish))

    words = ["--config", "c", "ingest", "run"]
    assert fleet._service("ingest", "ingest").argv == ["python", "-m", "deploy.chaos.armed", str(wish), *words]
    assert fleet._service("executor", "executor").argv == service(None, "executor", "executor").argv


def test_what_is_run_is_the_command_itself(monkeypatch: pytest.MonkeyPatch, wish: Path) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr("deploy.local.Fleet", Fleet)
    monkeypatch.setattr(cli, "main", lambda: ran.append(sys.argv[1:]))
    monkeypatch.setattr("sys.argv", ["armed", str(wish), "up", "--data", "d"])

    armed.main()

    assert ran == [["up", "--data", "d"]]
    assert getattr(local, armed.FLEET) is not Fleet


def test_an_armed_proxy_is_told_its_point_as_everybody_can_see(monkeypatch: pytest.MonkeyPatch, wish: Path) -> None:
    """The fault suite knows by that when it has come to it."""
    ran: list[list[str]] = []

    def become(_python: str, argv: list[str]) -> None:
        ran.append(argv[1:])
        raise SystemExit

    wish.write_text("asked:1")
    monkeypatch.setattr("os.execv", become)
    for _ in range(2):
        monkeypatch.setattr("sys.argv", ["armed", str(wish), "--config", "c", "ingest", "run"])
        with pytest.raises(SystemExit):
            armed.main()

    words = ["-m", "deploy", "--config", "c", "ingest", "run"]
    assert ran == [[*words, "--die-at", "asked:1"], words]
