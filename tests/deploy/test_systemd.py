"""The units: systemd takes them, they keep the services in, and every command and setting in them exists."""

import configparser
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import deploy
from deploy import acl
from deploy.embedded import Valkey
from deploy.settings import load
from shared.streams import Keys
from tests.conftest import Database
from tests.deploy.commands import EXAMPLE, parsed, understood
from tests.processes import ROOT

FOLDER = Path(deploy.__file__).with_name("systemd")
UNITS = sorted(FOLDER.glob("*.service"))
OURS = [path for path in UNITS if "-m deploy" in path.read_text()]
WORST = 15
"""Tenths: what `systemd-analyze security` may count as exposure; 100 is a service without any hardening."""
each_of_ours = pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)


def values(path: Path, section: str, key: str) -> list[str]:
    """Every value of a key that may be given several times."""
    found, current = [], ""
    for line in path.read_text().splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            current = heading[1]
        elif current == section and line.startswith(f"{key}="):
            found.append(line.partition("=")[2])
    return found


def environment(path: Path) -> dict[str, str]:
    words = [word for value in values(path, "Service", "Environment") for word in shlex.split(value)]
    return dict(word.replace("%i", "main").split("=", 1) for word in words)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units where systemd looks for them, with programs that are there."""
    place = shutil.copytree(FOLDER, tmp_path / "units")
    for path in place.glob("*.service"):
        path.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={shutil.which('true')}", path.read_text()))
    (place / "tradecopier-executor@main.service.d").mkdir()
    shutil.copy(place / "wine.conf", place / "tradecopier-executor@main.service.d")
    return place


def analyze(place: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed (Debian: systemd)")
    return subprocess.run(
        ["systemd-analyze", *words],
        env={"SYSTEMD_UNIT_PATH": f"{place}:", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )


def instances() -> list[str]:
    return [path.name.replace("@.", "@other.") for path in UNITS] + ["tradecopier-executor@main.service"]


def test_systemd_has_nothing_to_say_against_any_unit(installed: Path) -> None:
    checked = analyze(installed, "verify", "--man=no", *(str(installed / name) for name in [*instances(), TARGET]))
    ours = [line for line in checked.stderr.splitlines() if "tradecopier" in line or str(installed) in line]
    assert ours == []


TARGET = "tradecopier.target"


def test_a_mistake_in_the_shared_part_would_be_seen_in_each_unit(installed: Path) -> None:
    with (installed / "tradecopier-.service.d" / "hardening.conf").open("a") as shared:
        shared.write("\n[Service]\nProtectEverything=yes\n")
    checked = analyze(installed, "verify", "--man=no", str(installed / "tradecopier-executor@other.service"))
    assert "ProtectEverything" in checked.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_service_is_kept_in(path: Path, installed: Path) -> None:
    name = path.name.replace("@.", "@other.")
    checked = analyze(installed, "security", "--offline=true", f"--threshold={WORST}", str(installed / name))
    assert checked.returncode == 0, checked.stdout.splitlines()[-1:]


def test_wine_may_make_code_and_every_other_executor_may_not(installed: Path) -> None:
    for instance, mark in (("main", "✗"), ("other", "✓")):
        unit = str(installed / f"tradecopier-executor@{instance}.service")
        judged = analyze(installed, "security", "--offline=true", unit).stdout
        (line,) = [line for line in judged.splitlines() if "MemoryDenyWriteExecute" in line]
        assert mark in line


@each_of_ours
def test_its_command_and_its_settings_are_ones_that_we_know(path: Path) -> None:
    (start,) = values(path, "Service", "ExecStart")
    python, dash_m, module, *words = shlex.split(start.replace("%i", "main"))
    assert (python, dash_m, module) == ("/opt/tradecopier/.venv/bin/python", "-m", "deploy")
    parsed(words)
    understood(environment(path))
    assert all(name.startswith("TRADECOPIER_") for name in environment(path))


@each_of_ours
def test_it_goes_by_a_user_that_the_acl_file_has(path: Path) -> None:
    machine = load(EXAMPLE, None, {})
    users = acl.users(Keys(machine.redis.namespace), machine.ingest.sources, tuple(machine.executor.accounts))
    told = environment(path)
    if (user := told.get("TRADECOPIER_REDIS__USERNAME")) is not None:
        assert user in {user.name for user in users}
        assert told["TRADECOPIER_REDIS__PASSWORD"] == f"file:/etc/tradecopier/redis/{user}.password"


@each_of_ours
def test_it_sees_no_secret_but_its_own(path: Path) -> None:
    """Each service has a password that lets it do little; all of them together may do everything."""
    told = environment(path)
    if (secret := told.get("TRADECOPIER_REDIS__PASSWORD")) is None:
        return
    shown = [value.replace("%i", "main") for value in values(path, "Service", "BindReadOnlyPaths")]
    assert shown == [secret.removeprefix("file:")]
    assert values(path, "Service", "TemporaryFileSystem") == [f"{Path(shown[0]).parent}:ro"]
    hidden = values(path, "Service", "InaccessiblePaths")
    assert hidden == ([] if "TRADECOPIER_POSTGRES__PASSWORD" in told else ["-/etc/tradecopier/postgres"])


REFUSED = """
import ctypes, runpy, sys
refuse_exec_gain = 1
if ctypes.CDLL(None, use_errno=True).prctl(65, refuse_exec_gain, 0, 0, 0) != 0:
    print("too old a kernel")
    sys.exit(77)
import archiver.service, executor.service
sys.argv[0] = "deploy"
runpy.run_module("deploy", run_name="__main__")
"""
"""What `MemoryDenyWriteExecute=` does, done by the kernel: memory that was written can never be run."""


def test_services_work_where_nothing_that_was_written_can_be_run(
    valkey: Valkey, postgres: Database, tmp_path: Path
) -> None:
    strict = {path.name for path in UNITS if values(path, "Service", "MemoryDenyWriteExecute") == ["yes"]}
    assert {path.name for path in OURS} - strict == {"tradecopier-ingest.service", "tradecopier-up.service"}
    (config := tmp_path / "tradecopier.toml").write_text(EXAMPLE.read_text())
    (key := tmp_path / "signing.key").write_text("k1:" + "ab" * 32)
    key.chmod(0o600)
    told = {
        "TRADECOPIER_REDIS__URL": valkey.url,
        "TRADECOPIER_POSTGRES__DSN": postgres.dsn,
        "TRADECOPIER_SECURITY__SIGNING_KEY_FILE": str(key),
    }
    command = [sys.executable, "-c", REFUSED, "--config", str(config), "prepare"]
    process = subprocess.run(
        command, env={**os.environ, **told, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    if process.returncode == 77:
        pytest.skip("this kernel cannot refuse it (Linux 6.3 or newer does)")
    assert process.stdout.startswith("ready"), process.stderr


def test_what_a_unit_names_beside_itself_is_there() -> None:
    text = "\n".join(path.read_text() for path in FOLDER.glob("*.*") if path.is_file())
    words = re.findall(r"tradecopier[\w@-]*\.(?:service|target)", text)
    names = {re.sub(r"@[^.]*\.", "@.", word) for word in words}
    assert {name for name in names if not (FOLDER / name).exists()} == set()


def test_the_user_is_made_by_what_is_shipped() -> None:
    shared = configparser.ConfigParser(strict=False, interpolation=None)
    shared.optionxform = str  # type: ignore[assignment,method-assign]
    shared.read(FOLDER / "tradecopier-.service.d" / "hardening.conf")
    assert f"\nu {shared['Service']['User']} - " in (FOLDER / "tradecopier.sysusers").read_text()
