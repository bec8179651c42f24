"""The accounts board says what an account has, how near its limits are, what was refused, and who would trade."""

import pytest

from deploy.dashboards.accounts import BOARD
from tests.deploy.dashboards.reading import asked, panel


def test_a_limit_warns_before_it_is_reached_and_is_red_when_it_is() -> None:
    found = panel(BOARD, "Limits used")

    assert found.unit == "percentunit"  # 1 is the limit, shown as 100 %
    assert found.limits == ((0.8, "yellow"), (1.0, "red"))
    assert "account, limit" in asked(BOARD, "Limits used")


@pytest.mark.parametrize(("title", "told_apart_by"), [("Denials", "reason"), ("MetaTrader 5's answers", "retcode")])
def test_refusals_are_told_apart_by_their_cause_and_none_is_good_news(title: str, told_apart_by: str) -> None:
    assert f"sum by (account, {told_apart_by})" in asked(BOARD, title)
    assert asked(BOARD, title).endswith("> 0")
    assert panel(BOARD, title).empty == "none"


def test_the_terminal_is_on_or_off_and_its_ping_is_in_seconds() -> None:
    terminal = panel(BOARD, "Terminal")

    assert [query.legend for query in terminal.queries] == ["{{account}} link", "{{account}} algo trading"]
    assert terminal.names == {0: "off", 1: "on"}
    assert terminal.empty == "no executor is seen"
    assert panel(BOARD, "Ping to the broker").unit == "s"


@pytest.mark.parametrize("figure", ["equity", "balance", "margin_free", "positions", "lots"])
def test_no_figure_of_two_accounts_is_added_up(figure: str) -> None:
    """Their currencies may differ, and after a takeover two executors export the same account for a while."""
    (query,) = [q.text for p in BOARD.panels for q in p.queries if f"tradecopier_account_{figure}{{" in q.text]

    assert query.startswith("max by (account) (")
