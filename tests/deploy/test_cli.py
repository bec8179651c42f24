"""The `tradecopier` command: quick to look at, plain about mistakes, and no command breaks another."""

import runpy
import subprocess
import sys
import types
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from deploy import cli
from deploy.cli import Entry
from shared.process import UserError
from shared.version import VERSION
from tests.processes import ROOT

HEAVY = ("mitmproxy", "psycopg", "redis", "prometheus_client", "MetaTrader5")

LOOK_AT_ALL_HELP = f"""
import sys
import click
from click.testing import CliRunner
from deploy.cli import COMMANDS, accept_config, cli, exists, load

def look(command, words):
    result = CliRunner().invoke(cli, [*words, "--help"])
    assert result.exit_code == 0, (words, result.output)
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (words, heavy)
    print(*words)
    for name, member in getattr(command, "commands", {{}}).items():
        look(member, [*words, name])

look(cli, [])
for name, entry in COMMANDS.items():
    if exists(entry.module):
        look(load(entry), [name])
"""


def test_the_help_of_every_command_imports_no_heavy_library() -> None:
    looked = subprocess.run(
        [sys.executable, "-c", LOOK_AT_ALL_HELP], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert looked.returncode == 0, looked.stderr


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A service's commands in a module of their own, beside one that is missing and one that is broken."""
    module = types.ModuleType("service_cli")
    spec = types.SimpleNamespace(name="service_cli")
    module.__spec__ = spec  # type: ignore[assignment]

    @click.group("service")
    def group() -> None:
        """A service."""

    @group.command()
    @click.pass_obj
    def where(config: Path) -> None:
        """Tell which settings file was given."""
        click.echo(config)

    @group.command()
    def fail() -> None:
        """Fail in a way that the user can mend."""
        raise UserError("the port 1 is in use; choose another")

    @group.command()
    def stay() -> None:
        """Stay until somebody has enough of it."""
        raise KeyboardInterrupt

    module.group = group  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "service_cli", module)
    known = {
        "service": Entry("service_cli", "group", "A service."),
        "missing": Entry("no.such.module", "cli", "Not there."),
    }
    monkeypatch.setattr(cli, "COMMANDS", known)
    return module


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.cli, words)


@pytest.mark.usefixtures("commands")
@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["service", "where"], "tradecopier.toml"),
        (["--config", "a.toml", "service", "where"], "a.toml"),
        (["service", "where", "--config", "b.toml"], "b.toml"),
        (["--config", "a.toml", "service", "where", "--config", "b.toml"], "b.toml"),
    ],
)
def test_the_settings_file_may_be_named_before_or_behind_a_command(words: list[str], settings: str) -> None:
    assert run(*words).output == f"{settings}\n"


@pytest.mark.usefixtures("commands")
def test_what_the_user_can_mend_is_one_line_and_exit_code_two() -> None:
    result = run("service", "fail")
    assert (result.exit_code, result.output) == (2, "tradecopier: the port 1 is in use; choose another\n")


@pytest.mark.usefixtures("commands")
def test_a_command_that_is_not_there_fails_alone() -> None:
    assert "missing" not in run("--help").output
    result = run("missing", "--help")
    assert result.exit_code == 2
    assert result.output == "tradecopier: this command is not part of this installation: there is no no.such.module\n"
    assert run("service", "--help").exit_code == 0


@pytest.mark.usefixtures("commands")
def test_the_list_of_commands_tells_what_each_is_for() -> None:
    assert "service  A service." in run("-h").output
    assert run().output == run("--help").output


def test_an_unknown_command_is_refused() -> None:
    result = run("sell-everything")
    assert result.exit_code == 2
    assert "No such command 'sell-everything'" in result.output


def test_the_version_is_told() -> None:
    told = subprocess.run([sys.executable, "-m", "deploy", "--version"], cwd=ROOT, capture_output=True, check=True)
    assert told.stdout.decode() == f"tradecopier, version {VERSION}\n"


@pytest.mark.usefixtures("commands")
def test_ctrl_c_before_a_command_listens_to_signals_is_no_failure() -> None:
    result = run("service", "stay")

    assert (result.exit_code, result.output) == (130, "")


def test_ctrl_c_while_the_program_is_still_loading_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "main", interrupted)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("deploy", run_name="__main__")

    assert ended.value.code == 130
