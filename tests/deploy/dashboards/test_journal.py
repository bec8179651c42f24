"""The journal shows trades as rows of the archive: those of the chosen accounts and time, the newest, and no more."""

import pytest

from deploy.dashboards.journal import BOARD, rows
from deploy.dashboards.panels import dashboard
from tests.deploy.dashboards.reading import asked, panel


@pytest.mark.parametrize(
    ("title", "view", "columns"),
    [
        ("Trades", "trades", ("source_price", "price_opened", "slippage", "net")),
        ("Refused, and why", "denials", ("result", "reason", "text")),
        ("Unfinished", "unfinished", ("since", "state", "reason")),
        ("Deals", "deals", ("profit", "swap", "commission")),
        ("Notices and drift", "drift", ("expected", "actual")),
    ],
)
def test_what_a_trader_asks_of_the_past_is_a_row(title: str, view: str, columns: tuple[str, ...]) -> None:
    assert f" from {view} " in asked(BOARD, title)
    assert all(column in asked(BOARD, title) for column in columns)


def test_a_query_shows_the_newest_of_the_chosen_time_and_accounts_and_has_an_end() -> None:
    query = rows("seen, account", "deals", "seen", "deal").text

    assert query == (
        "select seen, account from deals where $__timeFilter(seen) and account ~ '^(${account:pipe})$' "
        "order by deal desc limit 500"
    )


def test_every_panel_is_a_table_of_postgresql() -> None:
    for found in dashboard(BOARD)["panels"]:
        assert found["type"] == "table"
        assert found["datasource"]["uid"] == "tradecopier-postgres"
        assert all(target["rawQuery"] and target["rawSql"].startswith("select ") for target in found["targets"])


def test_an_empty_table_says_whether_that_is_good_news() -> None:
    assert panel(BOARD, "Unfinished").empty == "everything has its end"
    assert panel(BOARD, "Refused, and why").empty == "nothing was refused in this time"
    assert panel(BOARD, "Trades").empty == "no trades in this time"
