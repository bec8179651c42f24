"""The scripts for Windows: what they run exists, and they name what they need of the clone.

Windows' own commands cannot be tried here; the parameters that the scripts give them are compared with a list.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import deploy
import run
from tests.deploy.commands import SETTING, parsed, understood
from tests.processes import ROOT

FOLDER = Path(deploy.__file__).with_name("windows")
SCRIPTS = sorted(FOLDER.glob("*.ps1"))
KNOWN = {
    "Join-Path": set(),
    "Resolve-Path": set(),
    "Test-Path": set(),
    "Get-Item": set(),
    "Out-Null": set(),
    "Write-Output": set(),
    "Set-StrictMode": {"Version"},
    "New-Item": {"ItemType", "Path", "Force"},
    "Move-Item": {"Path", "Destination", "Force"},
    "Start-Process": {"FilePath", "ArgumentList", "NoNewWindow", "Wait"},
    "Start-Sleep": {"Seconds"},
    "New-TimeSpan": {"Minutes"},
    "New-ScheduledTaskAction": {"Execute", "Argument", "WorkingDirectory"},
    "New-ScheduledTaskTrigger": {"AtLogOn", "User"},
    "New-ScheduledTaskPrincipal": {"UserId", "LogonType", "RunLevel"},
    "New-ScheduledTaskSettingsSet": {
        "MultipleInstances", "StartWhenAvailable", "AllowStartIfOnBatteries", "DontStopIfGoingOnBatteries",
        "ExecutionTimeLimit", "RestartCount", "RestartInterval",
    },
    "Register-ScheduledTask": {"TaskName", "Action", "Trigger", "Principal", "Settings", "Description", "Force"},
    "Unregister-ScheduledTask": {"TaskName", "Confirm"},
    "Start-ScheduledTask": {"TaskName"},
    "Stop-ScheduledTask": {"TaskName"},
}  # fmt: skip
"""Commands of Windows PowerShell 5.1 and the parameters that we use, as its documentation has them."""
TOKEN = re.compile(r"""'[^']*'|"[^"]*"|[(){}|;\n]|[^\s(){}|;'"]+""")
OPERATORS = {"f", "gt", "ne", "and", "not"}
VERB_NOUN = re.compile(r"[A-Z][a-z]+-[A-Z]\w+")


def code(path: Path) -> str:
    """Without comments, continued lines joined, and what is in quotes left out."""
    text = re.sub(r"<#.*?#>", "", path.read_text(), flags=re.DOTALL).replace("`\n", " ")
    return re.sub(r"(?m)^\s*#.*$", "", text)


def used(text: str) -> Iterator[tuple[str, str]]:
    """Each command with each parameter that it is given, "" for none; parentheses hold a command of their own."""
    around: list[str] = [""]
    for token in TOKEN.findall(text):
        if token == "(":
            around.append("")
        elif token == ")":
            around.pop()
        elif token in "{}|;\n":
            around[-1] = ""
        elif not around[-1] and VERB_NOUN.fullmatch(token):
            around[-1] = token
            yield token, ""
        elif around[-1] and re.match("-[A-Za-z]", token):
            yield around[-1], token[1:].partition(":")[0]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_only_known_commands_get_only_parameters_that_they_have(path: Path) -> None:
    found = set(used(code(path)))
    assert len(found) > 10
    assert {(name, word) for name, word in found if word and word not in KNOWN[name] | OPERATORS} == set()


def test_a_parameter_that_no_command_has_would_be_seen() -> None:
    assert set(used("if ($x) { Start-Sleep -Hours (Get-Item $y -Deep).Length }")) >= {
        ("Start-Sleep", "Hours"),
        ("Get-Item", "Deep"),
    }


def words_of(text: str) -> list[str]:
    """The words behind `-m deploy` or `run.py` in a line of a script, its placeholders filled."""
    line = text.replace('"{0}"', "python").replace("{2}", "main").replace("{1}", "x").replace("$Account", "main")
    return shlex.split(re.sub(r"\)$| >>.*", "", line).replace("$Config", "x"))


def test_the_commands_of_tradecopier_are_ones_that_we_know() -> None:
    (runs,) = re.findall(r"-m deploy (.*)'", code(FOLDER / "run-executor.ps1"))
    (checks,) = re.findall(r"'run\.py'\) (.*)", code(FOLDER / "install-executor.ps1"))
    assert parsed(words_of(runs)).command.name == "run"
    assert parsed(words_of(checks)).command.name == "check"
    assert run.command_word(words_of(checks)) == "executor", "so that it makes the short environment"


def test_the_environment_is_where_the_launcher_makes_it() -> None:
    assert r".venv\Scripts\python.exe" in code(FOLDER / "run-executor.ps1")
    assert '"Scripts", "python.exe"' in (ROOT / "run.py").read_text()


def test_no_setting_is_misspelled() -> None:
    names = SETTING.findall("\n".join(path.read_text() for path in SCRIPTS))
    understood(dict.fromkeys(names, "x"))


def test_an_account_that_could_break_out_of_the_command_is_no_account() -> None:
    for path in SCRIPTS:
        assert "[ValidatePattern('^[a-z0-9-]+$')] [string] $Account" in path.read_text()
