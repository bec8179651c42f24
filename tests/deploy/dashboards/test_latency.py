"""The latency board follows a trade through all of its stages, and asks for tails rather than for means alone."""

import pytest

from deploy.dashboards.latency import BOARD, quantile
from deploy.dashboards.panels import expanded
from tests.deploy.dashboards.reading import asked, panel

THE_WAY_OF_A_TRADE = ("observe", "publish", "queue", "decide", "terminal", "commit", "archive")


@pytest.mark.parametrize("stage", THE_WAY_OF_A_TRADE)
def test_every_stage_has_a_panel_in_seconds_down_to_its_tail(stage: str) -> None:
    title = f"Stage: {stage}"

    assert panel(BOARD, title).unit == "s"
    assert f'stage="{stage}"' in asked(BOARD, title)
    assert [query.legend.split()[-1] for query in panel(BOARD, title).queries] == ["p50", "p95", "p99", "p99.9"]


@pytest.mark.parametrize(
    ("stage", "chosen"), [("observe", "source"), ("publish", "source"), ("decide", "account"), ("commit", "account")]
)
def test_a_stage_follows_what_is_chosen_on_the_board(stage: str, chosen: str) -> None:
    asks = expanded(asked(BOARD, f"Stage: {stage}"))

    assert f'{chosen}=~"${chosen}"' in asks
    assert f"sum by (le, {chosen})" in asks


def test_the_whole_way_comes_first_as_a_distribution() -> None:
    first = BOARD.panels[0]

    assert (first.kind, first.unit) == ("heatmap", "s")
    assert 'stage="end_to_end"' in first.queries[0].text
    assert first.empty == "nothing was copied in this time"


def test_a_quantile_keeps_buckets_of_different_accounts_apart_when_asked() -> None:
    where = 'stage="queue"'

    assert quantile(0.5, where).startswith("histogram_quantile(0.5, sum by (le) (rate(")
    assert "sum by (le, account) (" in quantile(0.5, where, ", account")
    assert "<" not in expanded(quantile(0.99, "<account>"))


def test_what_the_delay_cost_is_there_too_and_no_opening_is_no_slippage_of_zero() -> None:
    assert "tradecopier_slippage_points_bucket" in asked(BOARD, "Slippage")
    assert "tradecopier_openings_unpriced_total" in asked(BOARD, "Opened without the source's price")
    assert panel(BOARD, "Slippage").empty == "nothing was opened in the last hour"
