"""The threat model names tests that are there, and says where there is none."""

import ast
import re
from pathlib import Path

import pytest

from tests.processes import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", TEXT)))


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part.removeprefix("tests/"))
def test_a_named_test_is_there(path: str, name: str) -> None:
    assert name in functions(ROOT / path)


def test_every_line_of_the_model_names_a_test_or_says_that_there_is_none() -> None:
    model = TEXT[TEXT.index("## The parts") : TEXT.index("## Limits")]
    rows = [
        line for line in model.splitlines() if line.startswith("| ") and not line.startswith(("| what |", "| stolen |"))
    ]
    assert len(rows) > 18
    assert [row for row in rows if "::test_" not in row and not row.endswith("| no test |")] == []


def test_the_users_and_settings_that_it_speaks_of_are_the_real_ones() -> None:
    from deploy import acl
    from shared.streams import Keys

    names = {user.name.removeprefix("main.") for user in acl.users(Keys("main"), ["demo"], ["ACCOUNT"])}
    assert set(re.findall(r"`NS\.([\w.]+)`", TEXT)) == names - {"executor"}
