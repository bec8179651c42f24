"""What the broker lists, in the protocol's own names."""

from decimal import Decimal as D

import msgspec

from deploy.demo.rows import Execution, Field, Order, Position, encode


def test_an_order_is_listed_without_what_it_does_not_have() -> None:
    order = Order(
        id="1", instrument="EURUSD", qty=D("0.10"), side="buy", type="limit", status="working", last_modified=9,
        limit_price=D("1.05"), custom_fields=(Field("PositionId", "7"),),
    )  # fmt: skip
    assert msgspec.json.decode(encode(order)) == {
        "id": "1", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "type": "limit", "status": "working",
        "lastModified": 9, "limitPrice": 1.05, "customFields": [{"id": "PositionId", "value": "7"}],
    }  # fmt: skip


def test_a_position_and_an_execution_have_all_their_keys() -> None:
    position = Position("7", "EURUSD", D(1), "sell", D("1.1"))
    assert position.signed == -1
    assert set(msgspec.json.decode(encode(position))) == {
        "id", "instrument", "qty", "side", "avgPrice", "unrealizedPl",
    }  # fmt: skip
    execution = Execution(
        id="E1", instrument="EURUSD", price=D("1.1"), time=1, qty=D(1), side="buy", order_id="1", is_close=False,
        position_id="7",
    )  # fmt: skip
    assert set(msgspec.json.decode(encode(execution))) == {
        "id", "instrument", "price", "time", "qty", "side", "orderId", "isClose", "positionId",
    }  # fmt: skip
