"""What the trader does, against the broker itself."""

from decimal import Decimal as D

from deploy.demo.story import story
from deploy.demo.trader import Trader
from tests.deploy.demo.conftest import Counter


async def test_the_story_does_everything_a_trader_does_and_leaves_one_position_open(counter: Counter) -> None:
    trader = Trader(counter.seat(), poll_s=0.02)
    await trader.sit_down()
    deeds = [deed async for deed in story(trader)]
    await trader.leave()
    book = counter.broker.books["10001"]
    assert [deed.answer for deed in deeds] == ["accepted"] * 8 + ["refused"]
    assert "Not enough money" in deeds[-1].reason
    assert [(p.instrument, p.signed) for p in book.positions.values()] == [("GBPUSD", D("-0.05"))]
    assert [(x.instrument, x.side, x.qty) for x in book.executions] == [
        ("EURUSD", "buy", D("0.1")),
        ("EURUSD", "sell", D("0.04")),
        ("EURUSD", "sell", D("0.06")),
        ("GBPUSD", "sell", D("0.05")),
    ]
    ended = {(order.type, order.status) for order in book.orders.values()}
    assert ended == {("market", "filled"), ("limit", "cancelled"), ("stop", "cancelled")}


async def test_each_deed_is_told_before_the_next_one_is_done(counter: Counter) -> None:
    trader = Trader(counter.seat(), poll_s=0.02)
    await trader.sit_down()
    telling = story(trader)
    first = await anext(telling)
    assert first.text.startswith("buy 0.10 EURUSD at market, stop loss 1.0820")
    assert len(counter.broker.books["10001"].orders) == 3
    await trader.leave()
