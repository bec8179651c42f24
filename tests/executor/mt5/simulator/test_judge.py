"""Whether a request may be executed, action by action."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from executor.mt5.simulator.ask import Ask
from executor.mt5.simulator.judge import is_member, judged, known
from executor.mt5.vocabulary import Retcode, TradeAction
from tests.executor.mt5.engines import D, deal, engine, floor, send


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (Ask(action=2), Retcode.INVALID),
        (deal(type_filling=9), Retcode.INVALID),
        (deal(side=11), Retcode.INVALID_ORDER),
        (deal(symbol="NOPE"), Retcode.INVALID),
        (Ask(action=8, order=5), None),
        (deal(), None),
    ],
)
def test_numbers_that_name_nothing_are_refused_first(ask: Ask, code: Retcode | None) -> None:
    assert known(floor(engine()), ask) == code


def test_a_symbol_that_is_not_selected_cannot_be_traded() -> None:
    account = engine()
    hidden = replace(account.store.symbols["EURUSD"], selected=False)
    account.store.put("symbols", "EURUSD", hidden)
    assert known(floor(account), deal()) == Retcode.INVALID


def levels(position: int, sl: str = "0", symbol: str = "EURUSD") -> Ask:
    return Ask(action=int(TradeAction.SLTP), symbol=symbol, position=position, sl=D(sl))


def test_levels_need_their_position_and_a_difference() -> None:
    account = engine()
    ticket = send(account, deal()).order

    def judge(ask: Ask) -> Retcode | None:
        return judged(floor(account), ask)

    assert judge(levels(3)) == Retcode.POSITION_CLOSED
    assert judge(levels(0)) == Retcode.POSITION_CLOSED
    assert judge(levels(ticket, symbol="GBPUSD")) == Retcode.INVALID
    assert judge(levels(ticket)) == Retcode.NO_CHANGES
    assert judge(levels(ticket, "1.2")) == Retcode.INVALID_STOPS
    assert judge(levels(ticket, "1.05")) is None


def test_a_netting_position_is_also_found_by_its_symbol() -> None:
    account = engine(hedging=False)
    send(account, deal())
    assert judged(floor(account), levels(0, "1.05")) is None


def test_close_by_is_for_opposite_positions_of_one_symbol_on_hedging_accounts() -> None:
    account = engine()
    long, short = send(account, deal()).order, send(account, deal(1)).order
    other = send(account, deal(1, symbol="GBPUSD")).order

    def judge(one: int, two: int) -> Retcode | None:
        return judged(floor(account), Ask(action=int(TradeAction.CLOSE_BY), position=one, position_by=two))

    assert judge(long, short) is None
    assert judge(long, other) == Retcode.INVALID
    assert judge(long, long) == Retcode.INVALID
    assert judge(long, 1) == Retcode.POSITION_CLOSED
    netting = engine(hedging=False)
    assert judged(floor(netting), Ask(action=int(TradeAction.CLOSE_BY))) == Retcode.INVALID_ORDER


def test_membership_is_by_value() -> None:
    assert is_member(TradeAction, 10)
    assert not is_member(TradeAction, 2)
