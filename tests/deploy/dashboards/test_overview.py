"""The overview answers a trader's first questions, and a zero or a silence on it is told in words."""

import pytest

from deploy.dashboards.overview import BOARD
from deploy.dashboards.panels import dashboard
from tests.deploy.dashboards.reading import asked, panel


@pytest.mark.parametrize(
    ("question", "unit", "series", "empty"),
    [
        ("Lanes at work", "short", 'condition="active"', "no executor is seen"),
        ("Age of the last copied trade", "s", "tradecopier:last_trade:age_seconds", "nothing was copied"),
        ("State of each account", "short", "tradecopier_trading_state", "no executor is seen"),
        ("Age of the source's last good poll", "s", "tradecopier_ingest_poll_age_seconds", "TradingView has not been"),
        ("Drift", "short", "tradecopier_drift_positions", "no executor is seen"),
        ("Age of the oldest drift", "s", "tradecopier_drift_oldest_seconds", "no executor is seen"),
    ],
)
def test_a_traders_first_questions_are_answered(question: str, unit: str, series: str, empty: str) -> None:
    found = panel(BOARD, question)

    assert found.unit == unit
    assert series in asked(BOARD, question)
    assert found.empty.startswith(empty)


def test_an_account_that_nobody_follows_is_called_so_on_the_first_panel() -> None:
    first = dashboard(BOARD)["panels"][0]

    (mapping,) = first["fieldConfig"]["defaults"]["mappings"]
    assert (first["gridPos"]["x"], first["gridPos"]["y"]) == (0, 0)
    assert mapping["options"]["0"]["text"] == "nobody"


@pytest.mark.parametrize("kind", ["unfinished_facts", "drift_positions", "dead", "ingest_waiting_facts"])
def test_one_of_anything_that_should_not_be_is_red(kind: str) -> None:
    assert kind in asked(BOARD, "Not as it should be")
    assert panel(BOARD, "Not as it should be").limits == ((1.0, "red"),)


def test_each_state_of_an_account_is_explained_beside_it() -> None:
    explained = panel(BOARD, "State of each account").description

    assert all(f"{state} " in explained for state in ("active", "close-only", "halted", "shadow"))
