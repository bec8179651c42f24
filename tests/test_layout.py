"""The tree keeps its shape: modules have their tests, packages their map, names a meaning, and arrows go one way."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.processes import ROOT

PACKAGES = ("shared", "ingest", "executor", "archiver", "deploy")
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
SOURCES = [path for path in MODULES if path.name not in {"__init__.py", "__main__.py"}]
FOLDERS = sorted({path.parent for path in MODULES})
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "base", "manager", "misc", "core", "lib", "tools"}
LONGEST_MODULE, LONGEST_FUNCTION = 300, 45
"""Lines. Most are far shorter; what is longer has two jobs."""


def short(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_module_has_its_test_file() -> None:
    homes = {path: ROOT / "tests" / path.parent.relative_to(ROOT) / f"test_{path.name}" for path in SOURCES}
    assert [short(path) for path, home in homes.items() if not home.exists()] == []


def test_every_folder_is_a_package_and_every_module_says_what_it_is_for() -> None:
    assert [short(folder) for folder in FOLDERS if not (folder / "__init__.py").exists()] == []
    assert [short(path) for path in MODULES if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_no_name_says_nothing() -> None:
    assert [short(path) for path in [*SOURCES, *FOLDERS] if path.stem in SAY_NOTHING] == []


def test_modules_and_functions_can_be_read_at_once() -> None:
    assert [short(path) for path in MODULES if len(path.read_text().splitlines()) > LONGEST_MODULE] == []
    assert [name for path in MODULES for name in long_functions(path)] == []


def long_functions(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > LONGEST_FUNCTION:
                yield f"{short(path)}: {node.name} has {lines} lines"


def test_imports_keep_their_contracts() -> None:
    """Layers, doors and purity, as pyproject.toml lists them."""
    program = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    checked = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
