"""The rules one by one where the conformance suite does not reach: fillings, sides, limits."""

from __future__ import annotations

import msgspec
import pytest

from executor.mt5.simulator import checks
from executor.mt5.vocabulary import FillingFlag, OrderFilling, OrderType, Retcode, SymbolExecution
from tests.executor.mt5.engines import D, case, deal, engine, send

FOK, IOC, RETURN, BOC = OrderFilling
INSTANT, MARKET, EXCHANGE = SymbolExecution.INSTANT, SymbolExecution.MARKET, SymbolExecution.EXCHANGE


@pytest.mark.parametrize(
    ("execution", "mask", "allowed"),
    [
        (INSTANT, 0, {FOK}),
        (MARKET, FillingFlag.FOK, {FOK}),
        (MARKET, FillingFlag.IOC, {IOC}),
        (MARKET, FillingFlag.FOK | FillingFlag.IOC, {FOK, IOC}),
        (EXCHANGE, FillingFlag.IOC, {IOC, RETURN}),
        (EXCHANGE, 0, {RETURN}),
    ],
)
def test_market_orders_follow_execution_mode_and_mask(execution: int, mask: int, allowed: set[OrderFilling]) -> None:
    account = engine()
    rules = msgspec.structs.replace(account.store.symbols["EURUSD"], execution=int(execution), filling=int(mask))
    account.store.put("symbols", "EURUSD", rules)
    accepted = {
        filling
        for filling in OrderFilling
        if checks.market_filling(case(account, deal(type_filling=int(filling)))) is None
    }
    assert accepted == allowed


@pytest.mark.parametrize(
    ("kind", "mask", "allowed"),
    [
        (OrderType.BUY_LIMIT, FillingFlag.FOK, {FOK, RETURN}),
        (OrderType.BUY_LIMIT, FillingFlag.IOC | FillingFlag.BOC, {IOC, RETURN, BOC}),
        (OrderType.SELL_STOP, FillingFlag.FOK, {FOK}),
        (OrderType.SELL_STOP, FillingFlag.IOC | FillingFlag.BOC, {IOC}),
    ],
)
def test_pending_limits_may_return_and_stops_follow_the_mask(
    kind: OrderType, mask: int, allowed: set[OrderFilling]
) -> None:
    account = engine()
    rules = msgspec.structs.replace(account.store.symbols["EURUSD"], execution=int(MARKET), filling=int(mask))
    account.store.put("symbols", "EURUSD", rules)
    accepted = {
        filling
        for filling in OrderFilling
        if checks.pending_filling(case(account, deal(int(kind), type_filling=int(filling)))) is None
    }
    assert accepted == allowed


def test_a_netting_close_is_not_held_to_the_side_rules_but_its_excess_is() -> None:
    account = engine(hedging=False)
    send(account, deal(0, "0.1"))
    rules = msgspec.structs.replace(account.store.symbols["EURUSD"], trade_mode=3)
    account.store.put("symbols", "EURUSD", rules)
    assert checks.side(case(account, deal(1, "0.1"))) is None
    assert checks.side(case(account, deal(1, "0.2"))) == Retcode.CLOSE_ONLY
    assert checks.side(case(account, deal(0, "0.1"))) == Retcode.CLOSE_ONLY


def test_a_close_needs_no_money() -> None:
    account = engine(balance="1000")
    ticket = send(account, deal(0, "0.8")).order
    assert checks.money(case(account, deal(0, "0.8"))) == Retcode.NO_MONEY
    assert checks.money(case(account, deal(1, "0.8", position=ticket))) is None


def test_the_volume_limit_counts_positions_and_orders_of_one_side() -> None:
    account = engine()
    send(account, deal(0, "0.3"))
    rules = msgspec.structs.replace(account.store.symbols["EURUSD"], volume_limit=D("0.5"))
    account.store.put("symbols", "EURUSD", rules)
    assert checks.volume_limit(case(account, deal(0, "0.2"))) is None
    assert checks.volume_limit(case(account, deal(0, "0.21"))) == Retcode.LIMIT_VOLUME
    assert checks.volume_limit(case(account, deal(1, "0.5"))) is None


def test_the_first_objection_decides() -> None:
    account = engine()
    wrong = case(account, deal(2, "0.001", sl=D(9)))
    assert checks.refusal(wrong, checks.DEAL) == Retcode.INVALID_ORDER
    assert checks.refusal(wrong, (checks.volume, checks.market_type)) == Retcode.INVALID_VOLUME
    assert checks.refusal(wrong, ()) is None
