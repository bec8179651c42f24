"""Result objects; how they look through a call is shown in test_surface."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from executor.mt5.simulator import tuples

DATA = json.loads((Path(__file__).parents[1] / "data" / "mt5_api.json").read_text())["structs"]
NAMES = sorted(set(DATA) - {"BookInfo"})


@pytest.mark.parametrize("name", NAMES)
def test_fields_are_the_vendors_in_order(name: str) -> None:
    kind = getattr(tuples, name)
    assert list(kind.__match_args__) == [field["name"] for field in DATA[name]["fields"]]
    assert (kind.n_fields, kind.n_unnamed_fields) == (DATA[name]["n_fields"], 0)


def test_the_constructor_wants_the_exact_length() -> None:
    with pytest.raises(TypeError, match="takes a 8-sequence"):
        tuples.Tick([1, 2])


def test_it_can_be_matched_and_printed() -> None:
    tick = tuples.Tick(range(8))
    assert repr(tick).startswith("Tick(time=0, bid=1, ask=2")
    match tick:
        case tuples.Tick(time, bid):
            assert (time, bid) == (0, 1)
        case _:
            pytest.fail("it has no match arguments")
