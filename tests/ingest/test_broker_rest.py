"""Every sample of the Broker REST protocol is read as what it is, and everything else is no trade."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from ingest.broker_rest import accounts, asks, locate, read
from ingest.calls import (
    AccountShown,
    CancelOrder,
    ClosePosition,
    ExecutionsShown,
    Fill,
    HistoryShown,
    InstrumentsShown,
    ModifyOrder,
    ModifyPosition,
    Note,
    OrdersShown,
    PlaceOrder,
    PositionsShown,
    Refused,
    Unanswered,
)
from ingest.exchange import Exchange, capture
from ingest.source import Source
from shared.facts import Levels, Quote
from tests.ingest.story import START

D = Decimal
SOURCE = Source(name="b", host="broker.example")
OK: dict[str, Any] = {"s": "ok"}
QUOTE = Quote(bid=D("1.08504"), ask=D("1.08512"))
LATER = Quote(bid=D("1.08552"), ask=D("1.0856"))


def heard(
    method: str,
    path: str,
    body: str = "",
    answer: object = OK,
    *,
    status: int | None = 200,
    error: str = "",
    url: str = "https://broker.example",
) -> Exchange:
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return capture(
        flow="f",
        method=method,
        url=url + path,
        headers={"origin": "https://de.tradingview.com"},
        body=body.encode(),
        asked=START,
        status=status,
        answer=content if status else None,
        answered=START,
        error=error,
    )


CALLS: dict[str, tuple[str, str, str, object, type, dict[str, object]]] = {
    "6.1 market with brackets": (
        "POST",
        "/accounts/10001/orders?locale=en&requestId=k3v9x0q2ab",
        "currentAsk=1.08512&currentBid=1.08504&instrument=EURUSD&qty=0.1&side=buy&stopLoss=1.083&takeProfit=1.09&type=market",
        {
            "s": "ok",
            "d": {
                "orderId": "764986466",
                "takeProfitOrderId": "764986466.TP.1731600000000",
                "stopLossOrderId": "764986466.SL.1731600000000",
            },
        },
        PlaceOrder,
        {
            "order_id": "764986466",
            "quantity": D("0.1"),
            "side": "buy",
            "type": "market",
            "instrument": "EURUSD",
            "levels": Levels(stop_loss=D("1.083"), take_profit=D("1.09")),
            "quote": QUOTE,
            "brackets": (("764986466.TP.1731600000000", "take_profit"), ("764986466.SL.1731600000000", "stop_loss")),
        },
    ),
    "6.2 plain market": (
        "POST",
        "/accounts/10001/orders?locale=en",
        "currentAsk=67559.49&currentBid=67544.49&instrument=BTCUSD&qty=0.03&side=buy&type=market",
        {"s": "ok", "d": {"orderId": "764986466"}},
        PlaceOrder,
        {"quantity": D("0.03"), "levels": Levels(), "quote": Quote(bid=D("67544.49"), ask=D("67559.49"))},
    ),
    "6.3 limit with brackets": (
        "POST",
        "/accounts/D1234567/orders?locale=en&requestId=abcdefghij",
        (
            "currentAsk=27795.25&currentBid=27780&durationType=Day&instrument=MNQM6&limitPrice=27700.5&qty=1&side=buy"
            "&stopLoss=27650&takeProfit=27800&type=limit"
        ),
        {"s": "ok", "d": {"orderId": "268137616439"}},
        PlaceOrder,
        {"account": "D1234567", "type": "limit", "limit_price": D("27700.5"), "stop_price": None, "duration": "Day"},
    ),
    "6.4 stop": (
        "POST",
        "/accounts/10001/orders?locale=en",
        "currentAsk=1.08512&currentBid=1.08504&durationType=GTC&instrument=EURUSD&qty=0.1&side=buy&stopPrice=1.09&type=stop",
        {"s": "ok", "d": {"orderId": "764986501"}},
        PlaceOrder,
        {"stop_price": D("1.09"), "limit_price": None},
    ),
    "6.5 stop-limit until a date": (
        "POST",
        "/accounts/10001/orders?locale=en",
        (
            "durationDateTime=1753620560&durationType=GTD&instrument=EURUSD&limitPrice=1.0905&qty=0.1&side=buy"
            "&stopPrice=1.09&type=stoplimit"
        ),
        {"s": "ok", "d": {"orderId": "764986502", "transactionId": 88121}},
        PlaceOrder,
        {"stop_price": D("1.09"), "limit_price": D("1.0905"), "duration": "GTD"},
    ),
    "6.10 levels of a position": (
        "PUT",
        "/accounts/10001/positions/5551234?locale=en",
        "currentAsk=1.0856&currentBid=1.08552&stopLoss=1.084&takeProfit=1.092",
        OK,
        ModifyPosition,
        {"position": "5551234", "levels": Levels(stop_loss=D("1.084"), take_profit=D("1.092")), "quote": LATER},
    ),
    "6.11 trailing stop": (
        "PUT",
        "/accounts/10001/positions/5551234?locale=en",
        "takeProfit=1.092&trailingStopPips=15",
        OK,
        ModifyPosition,
        {"levels": Levels(take_profit=D("1.092")), "trailing_pips": D(15)},
    ),
    "6.12 pending order with brackets": (
        "PUT",
        "/accounts/10001/orders/764986501?locale=en",
        "durationType=GTC&id=764986501&instrument=EURUSD&qty=0.2&stopLoss=1.087&stopPrice=1.0895&takeProfit=1.097",
        OK,
        ModifyOrder,
        {"order_id": "764986501", "quantity": D("0.2"), "stop_price": D("1.0895"), "limit_price": None},
    ),
    "6.13 a bracket order": (
        "PUT",
        "/accounts/D1234567/orders/268137616441?locale=en",
        "currentAsk=7536.5&currentBid=7536.25&durationType=Day&id=268137616441&instrument=MESU6&qty=14&stopPrice=7543.25",
        OK,
        ModifyOrder,
        {"order_id": "268137616441", "stop_price": D("7543.25"), "levels": Levels()},
    ),
    "6.14 cancel": (
        "DELETE",
        "/accounts/10001/orders/764986501?locale=en",
        "",
        OK,
        CancelOrder,
        {"order_id": "764986501"},
    ),
    "6.15 only the take profit": (
        "DELETE",
        "/accounts/10001/orders/764986466%2ETP.1731600000000?locale=en",
        "",
        OK,
        CancelOrder,
        {"order_id": "764986466.TP.1731600000000"},
    ),
    "6.16 close": (
        "DELETE",
        "/accounts/10001/positions/5551234?locale=en",
        "",
        OK,
        ClosePosition,
        {"position": "5551234", "amount": None},
    ),
    "6.17 part close": (
        "DELETE",
        "/accounts/10001/positions/5551234?locale=en",
        "amount=0.05",
        OK,
        ClosePosition,
        {"amount": D("0.05")},
    ),
    "6.18 native reversal": (
        "PUT",
        "/accounts/10001/positions/5551234?locale=en",
        "side=sell",
        OK,
        ModifyPosition,
        {"side": "sell"},
    ),
    "6.19 reversal by an order": (
        "POST",
        "/accounts/10001/orders?locale=en",
        "instrument=EURUSD&qty=0.2&side=sell&type=market",
        {"s": "ok", "d": {"orderId": "764986600"}},
        PlaceOrder,
        {"side": "sell", "quantity": D("0.2")},
    ),
    "an id in place of orderId": (
        "POST",
        "/accounts/10001/orders",
        "instrument=EURUSD&qty=0.2&side=sell&type=market",
        {"s": "ok", "d": {"id": 7}},
        PlaceOrder,
        {"order_id": "7"},
    ),
    "a removed level is empty or 0": (
        "PUT",
        "/accounts/10001/positions/5",
        "stopLoss=&takeProfit=0",
        OK,
        ModifyPosition,
        {"levels": Levels(stop_loss=None, take_profit=None)},
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_sample_of_a_call_is_read(name: str) -> None:
    method, path, body, answer, kind, expected = CALLS[name]
    (found,) = read(heard(method, path, body, answer), SOURCE)
    assert isinstance(found, kind)
    assert {field: getattr(found, field) for field in expected} == expected
    asked = asks(heard(method, path, body, status=None), SOURCE)
    assert asked is not None
    assert type(asked.call) is kind
    assert asked.call.answered is None


POLLS: dict[str, tuple[str, object, type, list[dict[str, object]]]] = {
    "6.6 a limit and its brackets": (
        "/accounts/D1234567/orders?locale=en",
        [
            {
                "id": "39",
                "instrument": "MNQM6",
                "qty": 1,
                "side": "buy",
                "type": "limit",
                "status": "working",
                "limitPrice": 27700.5,
                "lastModified": 1777819341,
                "duration": {"type": "Day"},
                "isTrailingStop": False,
            },
            {
                "id": "40",
                "instrument": "MNQM6",
                "qty": 1,
                "side": "sell",
                "type": "limit",
                "status": "inactive",
                "limitPrice": 27800,
                "parentId": "39",
                "parentType": "order",
            },
            {
                "id": "41",
                "instrument": "MNQM6",
                "qty": 1,
                "side": "sell",
                "type": "stop",
                "status": "inactive",
                "stopPrice": 27650,
                "parentId": "39",
                "parentType": "order",
            },
        ],
        OrdersShown,
        [
            {"standing": "live", "level": None, "limit_price": D("27700.5"), "duration": "Day"},
            {"level": "take_profit", "parent": "39"},
            {"level": "stop_loss", "stop_price": D(27650)},
        ],
    ),
    "6.7 after the fill": (
        "/accounts/10001/orders",
        [
            {
                "id": "76",
                "instrument": "EURUSD",
                "qty": 0.1,
                "side": "buy",
                "type": "market",
                "status": "filled",
                "filledQty": 0.1,
                "avgPrice": 1.08513,
                "customFields": [{"id": "PositionId", "value": "5551234"}],
            },
            {
                "id": "76.TP.17",
                "instrument": "EURUSD",
                "qty": 0.1,
                "side": "sell",
                "type": "limit",
                "status": "working",
                "limitPrice": 1.09,
                "parentId": "5551234",
                "parentType": "position",
            },
        ],
        OrdersShown,
        [
            {"standing": "filled", "filled": D("0.1"), "average_price": D("1.08513"), "position_id": "5551234"},
            {"level": "take_profit", "parent": "5551234", "parent_type": "position"},
        ],
    ),
    "6.8 positions": (
        "/accounts/10001/positions?locale=en",
        [
            {
                "id": "5551234",
                "instrument": "EURUSD",
                "qty": 0.1,
                "side": "sell",
                "avgPrice": 1.08513,
                "unrealizedPl": -0.9,
            },
            {"id": "2", "instrument": "EURUSD", "qty": 0},
        ],
        PositionsShown,
        [{"id": "5551234", "quantity": D("-0.1")}, {"quantity": D(0)}],
    ),
    "6.8 flat": ("/accounts/10001/positions?locale=en", [], PositionsShown, []),
    "6.9 executions": (
        "/accounts/10001/executions?locale=en&instrument=EURUSD",
        [
            {
                "id": "EX34567",
                "instrument": "EURUSD",
                "price": 1.08513,
                "time": 1731600001,
                "qty": 0.1,
                "side": "buy",
                "orderId": "764986466",
                "isClose": False,
                "positionId": "5551234",
                "commission": 0.35,
            }
        ],
        ExecutionsShown,
        [{"order_id": "764986466", "position_id": "5551234", "closes": False}],
    ),
    "6.11 a trailing stop": (
        "/accounts/10001/orders",
        [
            {
                "id": "s",
                "instrument": "EURUSD",
                "qty": 0.1,
                "side": "sell",
                "type": "stop",
                "isTrailingStop": True,
                "trailingStopPips": 15,
                "stopPrice": 1.0841,
                "status": "working",
                "parentId": "5551234",
                "parentType": "position",
            }
        ],
        OrdersShown,
        [{"trailing_pips": D(15), "level": "stop_loss"}],
    ),
    "6.21 rejected later": (
        "/accounts/10001/orders",
        [
            {
                "id": "42",
                "instrument": "MNQM6",
                "qty": 1,
                "side": "sell",
                "type": "market",
                "status": "rejected",
                "isTrailingStop": False,
                "message": {"text": "no", "type": "error"},
            }
        ],
        OrdersShown,
        [{"standing": "rejected", "text": "no"}],
    ),
    "instruments": (
        "/accounts/10001/instruments",
        [{"name": "MNQM6", "description": "x", "type": "futures", "minTick": 0.25, "pipSize": 0.25, "pipValue": 0.5}],
        InstrumentsShown,
        [{"name": "MNQM6", "unit": "contracts", "tick_size": D("0.25")}],
    ),
}


@pytest.mark.parametrize("name", POLLS)
def test_every_sample_of_a_poll_is_read(name: str) -> None:
    path, rows, kind, expected = POLLS[name]
    (found,) = read(heard("GET", path, answer={"s": "ok", "d": rows}), SOURCE)
    assert isinstance(found, kind)
    shown: tuple[Any, ...] = getattr(found, "rows", ())
    assert len(shown) == len(expected)
    for row, fields in zip(shown, expected, strict=True):
        assert {field: getattr(row, field) for field in fields} == fields


@pytest.mark.parametrize(
    ("status", "answer", "kind"),
    [
        (200, {"s": "error", "errmsg": "Cannot place order outside of market hours."}, Refused),  # 6.20, 6.22
        (401, b"", Refused),
        (404, b"<html>", Refused),
        (429, {}, Refused),
        (500, {"s": "error"}, Refused),
        (500, OK, Unanswered),
        (502, b"", Unanswered),
        (200, b"", Unanswered),
        (200, b"{", Unanswered),
        (200, {}, Unanswered),
        (200, [], Unanswered),
        (302, b"", Unanswered),
        (304, b"", Unanswered),
        (307, b"", Refused),
        (308, b"", Refused),
    ],
)
def test_only_the_brokers_own_yes_is_a_yes(status: int, answer: object, kind: type) -> None:
    (found,) = read(heard("DELETE", "/accounts/10001/positions/5", answer=answer, status=status), SOURCE)
    assert isinstance(found, kind)


def test_a_call_whose_connection_was_cut_is_unanswered() -> None:
    (found,) = read(heard("DELETE", "/accounts/10001/positions/5", status=None, error="reset"), SOURCE)
    assert isinstance(found, Unanswered)
    assert isinstance(found.call, ClosePosition)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/accounts/10001/previewOrder"),
        ("POST", "/accounts/10001/trackLatency"),
        ("GET", "/quotes"),
        ("GET", "/depth"),
        ("GET", "/config"),
        ("POST", "/authorize"),
        ("OPTIONS", "/accounts/10001/orders"),
        ("GET", "/accounts/10001/state"),
        ("GET", "/accounts/10001/orders/7"),
        ("GET", "/mapping"),
        ("POST", "/accounts/10001/setLeverage"),
        ("GET", "/accounts/10001/stream/orders"),
    ],
)
def test_known_traffic_that_does_not_trade_is_ignored(method: str, path: str) -> None:
    found = read(heard(method, path, "qty=1&side=buy&type=market&instrument=X"), SOURCE)
    assert [n.kind for n in found if isinstance(n, Note)] == ["ignored"]
    assert asks(heard(method, path, status=None), SOURCE) is None


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", "/accounts/10001/orders/7"),
        ("POST", "/accounts/10001/newThing"),
        ("DELETE", "/accounts/10001/orders"),
        ("POST", "/placeOrder"),
        ("GET", "/"),
        ("POST", "/accounts/10001/orders/7"),
        ("POST", "/accounts/10001/positions/10001/close"),
        ("GET", "/f3a10001c0ffee1d/accounts"),
    ],
)
def test_traffic_that_nobody_knows_is_said_and_names_no_id(method: str, path: str) -> None:
    (found,) = read(heard(method, path), SOURCE)
    assert isinstance(found, Note)
    assert found.kind == "unknown"
    assert "10001" not in found.text


def test_what_nobody_knows_of_another_account_is_another_accounts() -> None:
    one = replace(SOURCE, account="10001")
    (found,) = read(heard("POST", "/accounts/10002/positions/7/close"), one)
    (ours,) = read(heard("POST", "/accounts/10001/positions/7/close"), one)
    assert isinstance(found, Note)
    assert isinstance(ours, Note)
    assert (found.kind, ours.text) == ("other-account", "POST /accounts/*/positions/*/close")


@pytest.mark.parametrize(
    "url",
    [
        "http://broker.example",
        "https://broker.example:444",
        "https://broker.example.evil.test",
        "https://evil.test",
        "https://xbroker.example",
    ],
)
def test_other_hosts_ports_and_schemes_are_not_ours(url: str) -> None:
    other = heard("DELETE", "/accounts/10001/positions/5", url=url)
    assert read(other, SOURCE) == ()
    assert accounts(other, SOURCE) == ()


def test_a_prefix_belongs_to_the_source() -> None:
    source = replace(SOURCE, prefix=("tradingview", "v1"))
    ours = heard("DELETE", "/tradingview/v1/accounts/D%2F1/positions/5")
    assert locate(ours, source) == ("D/1", "positions", "5")
    assert locate(heard("DELETE", "/accounts/1/positions/5"), source) is None


def test_an_account_is_matched_whole() -> None:
    source = replace(SOURCE, account="10001")
    (found,) = read(heard("DELETE", "/accounts/100019/positions/5"), source)
    assert found == Note("other-account", "positions")
    assert accounts(heard("DELETE", "/accounts/100019/positions/5"), source) == ()


def test_the_account_list_is_about_each_of_its_accounts() -> None:
    rows = [{"id": "1", "config": {"supportMultiposition": True}}, {"id": "2", "config": {}}, {"x": 1}, 7]
    listing = heard("GET", "/accounts?locale=en", answer={"s": "ok", "d": rows})
    assert accounts(listing, SOURCE) == ("1", "2")
    found = read(listing, SOURCE)
    assert [(f.account, f.hedging) for f in found if isinstance(f, AccountShown)] == [("1", True), ("2", None)]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "qty=0&side=buy&type=market&instrument=X",
        "qty=-1&side=buy&type=market&instrument=X",
        "qty=NaN&side=buy&type=market&instrument=X",
        "qty=1&side=hold&type=market&instrument=X",
        "qty=1&side=buy&type=limit&instrument=X",
        "qty=1&side=buy&type=stoplimit&limitPrice=1&instrument=X",
        "qty=1&side=buy&type=market",
        "qty=1&side=buy&type=market&instrument=X&stopLoss=abc",
    ],
)
def test_a_form_that_cannot_be_an_order_is_no_call_and_is_said(body: str) -> None:
    found = read(heard("POST", "/accounts/1/orders", body, {"s": "ok", "d": {"orderId": "1"}}), SOURCE)
    assert [type(f) for f in found] == [Note, Unanswered]
    assert asks(heard("POST", "/accounts/1/orders", body, status=None), SOURCE) is None


def test_another_program_at_the_same_host_is_said_but_counts() -> None:
    ours = replace(heard("DELETE", "/accounts/1/positions/5"), origin="https://evil.test")
    note, call = read(ours, SOURCE)
    assert note == Note("foreign-origin", "https://evil.test")
    assert isinstance(call, ClosePosition)


def test_a_level_that_is_absent_is_not_removed() -> None:
    (found,) = read(heard("PUT", "/accounts/1/positions/5", "stopLoss=1.1"), SOURCE)
    assert isinstance(found, ModifyPosition)
    assert found.levels == Levels(stop_loss=D("1.1"), take_profit=UNSET)


def test_a_row_that_cannot_be_read_is_named_and_the_rest_counts() -> None:
    rows = [
        {"id": "1", "instrument": "X", "qty": None, "side": "buy"},
        {"id": "2", "instrument": "X", "qty": 1, "side": "buy"},
    ]
    note, poll = read(heard("GET", "/accounts/1/positions", answer={"s": "ok", "d": rows}), SOURCE)
    assert isinstance(note, Note)
    assert note.kind == "malformed"
    assert isinstance(poll, PositionsShown)
    assert (len(poll.rows), poll.unreadable) == (1, frozenset({"1"}))


def row(order_id: str, status: str = "filled", **more: object) -> dict[str, object]:
    terms = {"instrument": "EURUSD", "qty": 0.2, "side": "sell", "type": "market", "filledQty": 0.2}
    return {"id": order_id, "status": status} | terms | more


def test_the_history_says_what_filled_and_when_where_it_says_both() -> None:
    at = 1_767_600_000
    rows = [
        row("1", avgPrice=1.085, lastModified=at), row("2", "cancelled", filledQty=0, lastModified=at), row("3"),
        row("4.TP.1", lastModified=at), {"id": "5"},
    ]  # fmt: skip
    (shown,) = read(heard("GET", "/accounts/10001/ordersHistory", answer=OK | {"d": rows}), SOURCE)
    assert isinstance(shown, HistoryShown)
    moment = datetime.fromtimestamp(at, UTC)
    expected = Fill(order_id="1", instrument="EURUSD", quantity=D("-0.2"), at=moment, price=D("1.085"))
    assert shown.rows == (expected,)


def test_an_execution_is_a_fill_where_all_of_it_is_said() -> None:
    said = {"id": "E1", "instrument": "EURUSD", "price": 1.085, "time": 1_767_600_000, "side": "buy", "qty": 0.1}
    rows = [said | {"orderId": "7"}, said | {"orderId": "7", "qty": 0}, said]
    (shown,) = read(heard("GET", "/accounts/10001/executions", answer=OK | {"d": rows}), SOURCE)
    assert isinstance(shown, ExecutionsShown)
    found = [one.fill and (one.fill.order_id, one.fill.quantity) for one in shown.rows]
    assert found == [("7", D("0.1")), None, None]


@pytest.mark.parametrize("kind", ["orders", "positions", "executions", "ordersHistory", "instruments"])
def test_a_poll_that_is_nested_deeper_than_anybody_can_read_is_a_failed_poll(kind: str) -> None:
    deep = b'{"s":"ok","d":' + b"[" * 50_000 + b"]" * 50_000 + b"}"
    (note,) = read(replace(heard("GET", f"/accounts/1/{kind}"), answer=deep), SOURCE)
    assert isinstance(note, Note)
    assert note.kind == "poll-failed"
