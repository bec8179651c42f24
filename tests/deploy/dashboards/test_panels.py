"""Panels become Grafana's JSON: filters written out, places in rows, and what is shown said in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dashboards.panels import COLUMNS, Board, Kind, Panel, Query, dashboard, expanded


def panel(**fields: Any) -> Panel:
    return Panel(**{"title": "t", "description": "d.", "queries": (Query("x{<account>}"),), **fields})


def shown(*panels: Panel) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard(Board(uid="u", title="T", description="D", panels=panels))["panels"]
    return found


@pytest.mark.parametrize(
    ("short", "written_out"),
    [
        ("x{<namespace>}", 'x{namespace=~"$namespace"}'),
        ("x{<source>}", 'x{namespace=~"$namespace",source=~"$source"}'),
        ('x{<account>,a="b"} < 3', 'x{namespace=~"$namespace",account=~"$account",a="b"} < 3'),
    ],
)
def test_a_filter_in_short_is_written_out_and_nothing_else_is_touched(short: str, written_out: str) -> None:
    assert expanded(short) == written_out


@given(st.lists(st.tuples(st.integers(1, COLUMNS), st.integers(1, 12)), max_size=12))
def test_panels_of_any_size_find_their_place_in_reading_order_without_overlap(sizes: list[tuple[int, int]]) -> None:
    places = [found["gridPos"] for found in shown(*(panel(width=w, height=h) for w, h in sizes))]
    cells = [(x + p["x"], y + p["y"]) for p in places for x in range(p["w"]) for y in range(p["h"])]

    assert len(cells) == len(set(cells))
    assert all(x < COLUMNS for x, _ in cells)
    assert [(p["y"], p["x"]) for p in places] == sorted((p["y"], p["x"]) for p in places)


def test_a_value_is_shown_in_its_unit_its_colour_and_its_word_or_says_why_there_is_none() -> None:
    (found,) = shown(panel(unit="s", limits=((5.0, "red"),), names={0.0: "off"}, empty="nobody is seen"))
    defaults = found["fieldConfig"]["defaults"]

    assert (defaults["unit"], defaults["noValue"]) == ("s", "nobody is seen")
    assert [(step["value"], step["color"]) for step in defaults["thresholds"]["steps"]] == [
        (None, "green"),
        (5.0, "red"),
    ]
    assert defaults["mappings"] == [{"type": "value", "options": {"0": {"text": "off", "color": "red"}}}]


def test_a_zero_that_has_a_name_is_never_green_and_a_one_is() -> None:
    (found,) = shown(panel(kind="stat", names={0.0: "gone", 1.0: "there"}))

    (mapping,) = found["fieldConfig"]["defaults"]["mappings"]
    assert {name: each["color"] for name, each in mapping["options"].items()} == {"0": "red", "1": "green"}


@pytest.mark.parametrize(
    ("kind", "limits", "drawn"),
    [("timeseries", ((5.0, "red"),), True), ("timeseries", (), False), ("stat", ((5.0, "red"),), False)],
)
def test_a_limit_of_a_line_is_drawn(kind: Kind, limits: Any, drawn: bool) -> None:
    (found,) = shown(panel(kind=kind, limits=limits))

    style = found["fieldConfig"]["defaults"].get("custom")
    assert style == ({"thresholdsStyle": {"mode": "dashed"}} if drawn else None)


@pytest.mark.parametrize(
    ("kind", "form", "instant"),
    [
        ("timeseries", "time_series", False),
        ("heatmap", "heatmap", False),
        ("stat", "time_series", True),
        ("bargauge", "time_series", True),
        ("table", "table", True),
    ],
)
def test_only_what_is_drawn_over_time_asks_for_a_range(kind: Kind, form: str, instant: bool) -> None:
    (found,) = shown(panel(kind=kind, queries=(Query("a", "one"), Query("b"))))

    assert [(t["format"], t["instant"], t["range"]) for t in found["targets"]] == [(form, instant, not instant)] * 2
    assert [(t["refId"], t["legendFormat"]) for t in found["targets"]] == [("A", "one"), ("B", "__auto")]
