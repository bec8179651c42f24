"""`executor check` finds the simulated terminals that `up` has started."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import cli
from deploy.executing import executor
from tests.deploy.test_nearby import SETTINGS
from tests.executor.mt5.simulated import SimulatorProcess

ALONE = SETTINGS[SETTINGS.index("[executor") :]
"""As on a machine that has an executor alone."""


def test_no_command_is_missing() -> None:
    assert sorted(executor.commands) == ["check", "run"]


@pytest.mark.parametrize("text", [SETTINGS, ALONE])
def test_a_simulated_terminal_that_up_has_started_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("os.environ", dict(os.environ))
    config = tmp_path / "t.toml"
    config.write_text(text)

    def checked() -> Result:
        return CliRunner().invoke(cli, ["executor", "check", "--config", str(config)])

    before = checked()
    assert before.exit_code == 2
    assert "terminal.address is not set: name a running simulator, or let `tradecopier up` start one" in before.output

    terminal = SimulatorProcess(tmp_path / "data" / "terminals" / "main", login=7, server="Demo")
    try:
        during = checked()
    finally:
        terminal.stop()
    assert during.exit_code == 0, during.output
    assert "account 7 at Demo" in " ".join(during.output.split())

    (tmp_path / "data" / "terminals" / "main" / "address").write_text(terminal.address)
    after = checked()
    assert after.exit_code == 1
    assert f"There is no terminal at {terminal.address}" in after.output
    assert "`tradecopier up` starts simulated terminals" in after.output
