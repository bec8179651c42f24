"""One version, told in two places."""

import tomllib

from shared.version import VERSION
from tests.processes import ROOT


def test_the_version_is_that_of_the_project() -> None:
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == VERSION
