"""Which position a request means, and how much of it opens."""

from __future__ import annotations

import pytest

from tests.executor.mt5.engines import D, case, deal, engine, send


def test_a_hedging_request_means_only_the_position_that_it_names() -> None:
    account = engine()
    ticket = send(account, deal()).order
    assert case(account, deal(1)).position is None
    named = case(account, deal(1, position=ticket)).position
    assert named is not None
    assert named.ticket == ticket


@pytest.mark.parametrize(
    ("side", "volume", "opens"), [(0, "0.1", "0.1"), (1, "0.1", "0"), (1, "0.3", "0"), (1, "0.5", "0.2")]
)
def test_only_the_excess_of_an_opposite_netting_request_opens(side: int, volume: str, opens: str) -> None:
    account = engine(hedging=False)
    send(account, deal(0, "0.3"))
    assert case(account, deal(side, volume)).opens == D(opens)
