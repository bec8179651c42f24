"""The archive's deals against a terminal's history: every difference is listed, and nothing else."""

from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.deals import COMPARED, archived, differences
from archiver.store import Store
from shared.outcomes import Deal
from tests.archiver.entries import rows
from tests.conftest import Database
from tests.shared.samples import MOMENT, OUTCOMES

DEAL = next(m for m in OUTCOMES if isinstance(m, Deal))


def deal(number: int, **changes: Any) -> Deal:
    return msgspec.structs.replace(DEAL, deal=number, **changes)


def lines(ours: list[Deal], theirs: list[Deal]) -> list[str]:
    return [difference.line() for difference in differences("a", ours, theirs)]


@given(st.permutations([deal(n) for n in range(6)]))
def test_the_same_deals_in_any_order_agree(ours: list[Deal]) -> None:
    assert lines(ours, [deal(n, seen=MOMENT + timedelta(days=1), mark=7) for n in range(6)]) == []


def test_numbers_that_are_equal_agree_however_they_are_written() -> None:
    assert lines([deal(1, profit=D("1.50"))], [deal(1, profit=D("1.5"))]) == []


def test_a_deal_that_was_never_told_and_one_that_nobody_knows_are_listed() -> None:
    found = lines([deal(1), deal(2)], [deal(2), deal(3)])
    assert [line.split(":")[1] for line in found] == [" deal 1 not in the terminal", " deal 3 not archived"]
    assert "buy in 0.1 EURUSD at 1.1, 2026-11-25 13:30:00, profit 0" in found[1]


@pytest.mark.parametrize("name", COMPARED)
def test_a_deal_that_says_something_else_is_listed_with_both(name: str) -> None:
    value = getattr(DEAL, name)
    other = value + timedelta(seconds=1) if isinstance(value, datetime) else {"side": "sell", "entry": "out"}.get(name)
    other = other or ("XAUUSD" if isinstance(value, str) else value + 1)
    assert lines([deal(1)], [deal(1, **{name: other})]) == [
        f"a: deal 1 differs: {name} is {value} in the archive, {other} in the terminal"
    ]


async def test_the_archive_gives_the_deals_of_an_account_and_a_period(archive: Database) -> None:
    told = [deal(n, time=MOMENT + timedelta(days=n)) for n in range(5)] + [deal(9, account="other")]
    async with Store(archive.dsn) as store:
        assert await store.save(rows([*told, *OUTCOMES[:2]])) == []
    found = archived(archive.dsn, "main", "a", MOMENT + timedelta(days=1), MOMENT + timedelta(days=3))
    assert sorted(d.deal for d in found) == [1, 2]
