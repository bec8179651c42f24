"""The executor's commands say what they want."""

from pathlib import Path

from click.testing import CliRunner

from executor.cli import POINTS, cli


def test_run_says_what_it_takes() -> None:
    shown = CliRunner().invoke(cli, ["run", "--help"])

    assert shown.exit_code == 0
    assert "--account" in shown.output
    assert "--die-at" not in shown.output


def test_an_unknown_point_is_refused() -> None:
    refused = CliRunner().invoke(cli, ["run", "--die-at", "nowhere"])

    assert refused.exit_code == 2
    assert all(point in refused.output for point in POINTS)


def test_any_and_named_accounts_exclude_each_other() -> None:
    refused = CliRunner().invoke(cli, ["run", "--any", "--account", "main"], obj=Path("none.toml"))

    assert refused.exit_code == 2
    assert "leave --account out" in refused.output
