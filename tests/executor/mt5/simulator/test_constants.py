"""The module's constants against the real package."""

from __future__ import annotations

import json
from pathlib import Path

from executor.mt5.simulator.constants import CONSTANTS

DATA = json.loads((Path(__file__).parents[1] / "data" / "mt5_api.json").read_text())


def test_they_are_exactly_the_packages_constants() -> None:
    assert DATA["constants_flat"] == CONSTANTS
    assert len(CONSTANTS) == 223
