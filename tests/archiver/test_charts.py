"""Drawings are well-formed, stay inside their frame, and are empty where there is nothing to draw."""

import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from archiver.charts import HEIGHT, WIDTH, bars, curve

MOMENT = datetime(2026, 3, 2, tzinfo=UTC)

points = st.lists(st.decimals("-1e9", "1e9", allow_nan=False, places=2), min_size=2, max_size=60).map(
    lambda money: [(MOMENT + timedelta(minutes=n), value) for n, value in enumerate(money)]
)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # noqa: S314  what is parsed is our own


@given(points)
def test_a_curve_stays_inside_its_frame(found: list[tuple[datetime, D]]) -> None:
    line = next(e for e in parsed(curve(found, "a")) if e.tag == "polyline")
    pairs = [pair.split(",") for pair in line.attrib["points"].split()]
    assert len(pairs) == len(found)
    assert all(0 <= float(x) <= WIDTH and 0 <= float(y) <= HEIGHT for x, y in pairs)


@given(st.dictionaries(st.integers(-50, 150), st.integers(1, 10**6), min_size=1))
def test_bars_stay_inside_their_frame_and_count_everything(classes: dict[int, int]) -> None:
    rects = [e for e in parsed(bars(classes, "b")) if e.tag == "rect"]
    assert sum(int(str(e[0].text).rpartition(": ")[2]) for e in rects) == sum(classes.values())
    for rect in rects:
        x, y, wide, high = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        assert x >= 0 and y >= 0 and x + wide <= WIDTH and y + high <= HEIGHT  # noqa: PT018  one frame


def test_nothing_is_drawn_of_nothing() -> None:
    assert curve([], "a") == curve([(MOMENT, D(0))], "a") == bars({}, "b") == ""


def test_money_that_never_changed_is_a_line_all_the_same() -> None:
    assert "polyline" in curve([(MOMENT, D(0)), (MOMENT, D(0))], "a")


def test_a_title_is_never_markup() -> None:
    assert "<b>" not in bars({1: 1}, "<b>")
