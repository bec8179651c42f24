"""The delivery board answers for the promise: nothing lost, nothing twice, nothing silent."""

import pytest

from deploy.dashboards.delivery import BOARD
from tests.deploy.dashboards.reading import asked, panel


@pytest.mark.parametrize(
    ("promise", "title", "series"),
    [
        ("nothing lost on its way into the stream", "Outbox", "tradecopier_ingest_waiting_facts"),
        ("nothing lost on a full disk", "Outbox", "tradecopier_ingest_unwritten_records"),
        ("nothing lost in the stream", "The source's publisher", "tradecopier_ingest_rewinds_total"),
        ("nothing left unread", "Lag", "tradecopier_group_lag"),
        ("nothing left undone", "Unfinished", "tradecopier_unfinished_facts"),
        ("nothing twice", "Redeliveries and takeovers", "tradecopier_redeliveries_total"),
        ("nothing buried in silence by lanes", "Dead letters", "tradecopier_dead_letters_made_total"),
        ("nothing buried in silence by the archive", "Dead letters", "tradecopier_archive_dead_letters_total"),
        ("nothing overlooked at the source", "Unknown traffic", "tradecopier_ingest_unknown_traffic_total"),
    ],
)
def test_each_part_of_the_promise_can_be_watched(promise: str, title: str, series: str) -> None:
    assert series in asked(BOARD, title), promise


@pytest.mark.parametrize(
    ("title", "unit", "limit"),
    [
        ("Age of the oldest entry in work", "s", 5.0),
        ("Age of the oldest unfinished fact", "s", 30.0),
        ("Unfinished", "short", 1.0),
        ("Dead letters", "short", 1.0),
        ("Outbox", "short", 1.0),
        ("Surprises inside the tap", "short", 1.0),
    ],
)
def test_what_should_not_last_or_not_be_turns_red(title: str, unit: str, limit: float) -> None:
    assert panel(BOARD, title).unit == unit
    assert panel(BOARD, title).limits == ((limit, "red"),)


def test_a_lag_that_the_server_cannot_tell_is_a_gap_and_said_to_be_one() -> None:
    assert "A gap in the line" in panel(BOARD, "Lag").description
    assert "or vector(0)" not in asked(BOARD, "Lag")
    assert panel(BOARD, "Lag").empty == "no executor is seen"
