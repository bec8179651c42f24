"""The executor works where Linux' ways are missing, as on Windows, and with the few packages that it gets there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.executor.elsewhere import HEADER
from tests.processes import ROOT

SUITES = ("test_lane.py", "mt5/test_terminal.py", "mt5/test_childkeeper.py")
LINUX_ALONE = ("test_a_process_behind_a_launcher_is_killed_with_it", "test_a_child_dies_with_its_parent[blocked]")
"""Promises that Linux' kernel keeps for us; Windows has jobs for them, see tests/executor/mt5/test_wine.py."""
ALLOWED = [
    *("click", "hiredis", "msgspec", "prometheus_client", "redis", "async_timeout"),
    *("MetaTrader5", "numpy", "tzdata"),
]
"""What requirements-executor.lock brings, by the names under which it is imported."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("suite", SUITES)
def test_its_tests_pass_without_signal_handlers_fork_and_death_signal(suite: str) -> None:
    chosen = [f"tests/executor/{suite}", *(f"--deselect=tests/executor/{suite}::{name}" for name in LINUX_ALONE)]
    plugins = ["-p", "tests.executor.elsewhere", "-p", "no:cacheprovider"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *chosen],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-5000:]
    assert HEADER in ended.stdout


ALONE = f"""
import importlib, importlib.abc, pkgutil, sys

class Fence(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in {{*sys.stdlib_module_names, "executor", "shared", "deploy", *{ALLOWED!r}}}:
            raise ModuleNotFoundError(name + " is not there", name=name)

sys.meta_path.insert(0, Fence())
import executor
for module in pkgutil.walk_packages(executor.__path__, "executor."):
    importlib.import_module(module.name)
from deploy.cli import COMMANDS, load
load(COMMANDS["executor"]).make_context("executor", ["check"])
print("all there")
"""


def test_it_imports_nothing_but_what_its_own_list_brings() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", ALONE], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert ended.stdout == "all there\n", ended.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_an_environment_with_only_those_packages_runs_it(tmp_path: Path) -> None:
    """Installed from the lock, each package checked against its hash; needs the network once."""
    uv = ROOT / ".tools" / "uv" / "bin" / "uv"
    if not uv.exists():
        pytest.skip("run.py has not fetched uv for this clone: `python3 run.py test` does")
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "venv"], check=True)
    lock = ROOT / "requirements-executor.lock"
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, "--require-hashes", "-r", lock], check=True)
    ended = subprocess.run(
        [python, "-m", "deploy", "executor", "check"], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "there is no such settings file" in ended.stderr
    assert ended.returncode == 2
