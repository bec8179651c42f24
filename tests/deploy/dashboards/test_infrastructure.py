"""The infrastructure board tells which part is gone, and which will be full."""

import pytest

from deploy.dashboards.infrastructure import BOARD
from tests.deploy.dashboards.reading import asked, panel


@pytest.mark.parametrize(
    ("title", "series", "gone"),
    [
        ("Services", "up{", "gone"),
        ("Redis reachable", "tradecopier_redis_up", "away"),
        ("Redis reachable", "tradecopier_ingest_redis_up", "away"),
        ("Owner of the source", "tradecopier_ingest_owned", "nobody"),
    ],
)
def test_a_part_that_is_gone_is_named_in_a_word_and_not_as_a_zero(title: str, series: str, gone: str) -> None:
    assert series in asked(BOARD, title)
    assert panel(BOARD, title).kind == "stat"
    assert panel(BOARD, title).names[0] == gone


@pytest.mark.parametrize("title", ["Open files", "Redis memory"])
def test_what_can_run_out_is_a_share_and_red_before_it_has(title: str) -> None:
    assert panel(BOARD, title).unit == "percentunit"
    assert panel(BOARD, title).limits == ((0.8, "red"),)
    assert " / " in asked(BOARD, title)


@pytest.mark.parametrize(
    ("title", "unit"),
    [("Memory", "bytes"), ("Memory per fact", "bytes"), ("Room in Redis", "d"), ("Age of the last stored batch", "s")],
)
def test_sizes_and_times_have_their_units(title: str, unit: str) -> None:
    assert panel(BOARD, title).unit == unit


def test_no_services_at_all_is_answered_with_what_to_do() -> None:
    assert panel(BOARD, "Services").empty.endswith("has `tradecopier up` run with `metrics` set?")
