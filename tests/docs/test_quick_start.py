"""The quick start, command by command, as a new user would type it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy.directory import free_port
from tests.docs.pages import blocks, clone
from tests.processes import ROOT

PAGE = ROOT / "docs" / "quick-start.md"
STAYS = "python3 run.py up"
"""The one command that runs until Ctrl-C; what follows is typed in another terminal."""
PATIENCE_S = 120
LOOKS = 5


@contextmanager
def staying(command: str, home: Path, environment: dict[str, str]) -> Iterator[None]:
    """A command in a terminal of its own, from the moment at which it says that it runs until Ctrl-C."""
    with subprocess.Popen(
        command.split(), cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("TradeCopier runs."), "it ended before it ran"
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE_S) == 0


@pytest.mark.timeout(400)
def test_every_command_of_the_quick_start_works(tmp_path: Path) -> None:
    home = clone(tmp_path)
    ports = {"LISTEN": free_port(), "METRICS": free_port()}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRADECOPIER_", "PYTHON"))}
    # Other tests may have the ports that a user's machine has free.
    environment = inherited | {f"TRADECOPIER_INGEST__{key}": f"127.0.0.1:{port}" for key, port in ports.items()}
    typed = [block.text.strip() for block in blocks(PAGE) if block.language == "sh"]
    before, after = typed[: typed.index(STAYS)], typed[typed.index(STAYS) + 1 :]
    assert len(before) >= 2
    assert len(after) >= 4
    for text in before:
        type_in(text, home, environment)
    with staying(STAYS, home, environment):
        for text in after:
            type_in(text, home, environment)


def type_in(text: str, home: Path, environment: dict[str, str]) -> None:
    for line in text.splitlines():
        ended = typed_in(line, home, environment)
        for _ in range(LOOKS if line.endswith(" status") else 0):
            # Each service tells once a second how it is: for a moment what is shown is from before it was ready.
            ended = ended if ended.returncode == 0 else typed_in(line, home, environment)
        assert ended.returncode == 0, f"{line}\n{ended.stdout[-2000:]}{ended.stderr[-2000:]}"


def typed_in(line: str, home: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", "-c", line], cwd=home, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
