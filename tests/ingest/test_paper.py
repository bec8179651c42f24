"""Every sample of Paper Trading is read as what it is, and its stories become exactly the right facts."""

import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET
from msgspec.structs import replace

from ingest.calls import (
    CancelOrder,
    ClosePosition,
    InstrumentsShown,
    ModifyOrder,
    ModifyPosition,
    Note,
    PlaceOrder,
    PositionsShown,
    Refused,
    Unanswered,
)
from ingest.exchange import Exchange, Frame, plain
from ingest.paper import accounts, asks, hosts, read
from shared.facts import Fact, Levels, OrderEnded
from tests.ingest.story import PAPER, START, Story

D = Decimal
MNQ = "CME_MINI:MNQ1!"
PLACED = {
    "id": 2169406222,
    "symbol": MNQ,
    "type": "market",
    "side": "buy",
    "qty": 1,
    "status": "placing",
    "symboltype": "futures",
}


class Desk(Story):
    """A paper account whose frames are pushed."""

    def __init__(self) -> None:
        super().__init__(PAPER, "1234567")

    def post(self, action: str, body: object, answer: object = None, *, status: int = 200) -> list[Fact]:
        self.wait(1)
        return self.hear(self.posted(action, body, answer, status=status))

    def posted(self, action: str, body: object, answer: object = None, *, status: int = 200) -> Exchange:
        said = {} if answer is None else answer
        return self.exchange("POST", f"/trading/{action}/1234567", json.dumps(body).encode(), said, status=status)

    def push(self, name: str, **said: object) -> list[Fact]:
        self.wait(0.1)
        return self.hear(pushed(name, self, said))

    def account_poll(self, *positions: object) -> list[Fact]:
        return self.post("account", {}, {"balance": 100000, "positions": list(positions)})


def pushed(name: str, story: Story, said: object, account: object = 1234567) -> Frame:
    story.flows += 1
    content = {"text": {"channel": "trading", "content": {"m": name, "p": said, "accountId": account}}}
    return Frame(
        flow=f"w{story.flows}",
        host="pushstream.tradingview.com",
        port=443,
        path="/message-pipe-ws/private_feed",
        at=story.now,
        text=json.dumps(content).encode(),
    )


def totals(story: Story) -> list[str]:
    return [str(plain(f.exposure.after.total)) for f in story.facts]


SAMPLES: dict[str, tuple[str, object, object, type, dict[str, object]]] = {
    "7.4.1 market with brackets": (
        "place",
        {
            "symbol": MNQ,
            "type": "market",
            "qty": 1,
            "side": "buy",
            "sl": 30463.25,
            "tp": 30663.25,
            "outside_rth": False,
            "outside_rth_tp": False,
        },
        {
            "id": 2169406222,
            "symbol": MNQ,
            "type": "market",
            "side": "buy",
            "qty": 1,
            "status": "filled",
            "price": 30563.25,
        },
        PlaceOrder,
        {
            "order_id": "2169406222",
            "instrument": MNQ,
            "quantity": D(1),
            "standing": "filled",
            "levels": Levels(stop_loss=D("30463.25"), take_profit=D("30663.25")),
            "average_price": D("30563.25"),
        },
    ),
    "7.4.2 limit": (
        "place",
        {
            "symbol": "NASDAQ:LHAI",
            "type": "limit",
            "qty": 9214.35,
            "side": "buy",
            "price": 10.31,
            "outside_rth": True,
            "expiration": 1753620560,
        },
        {"id": 2169406222},
        PlaceOrder,
        {"limit_price": D("10.31"), "stop_price": None, "quantity": D("9214.35")},
    ),
    "7.4.3 stop with brackets": (
        "place",
        {"symbol": "OANDA:EURUSD", "type": "stop", "qty": 1000, "side": "buy", "price": 1.09, "sl": 1.087, "tp": 1.097},
        {"id": "7"},
        PlaceOrder,
        {"stop_price": D("1.09"), "limit_price": None, "order_id": "7"},
    ),
    "7.4.4 modify": (
        "modify",
        {"id": 2169406222, "price": 10.4},
        {},
        ModifyOrder,
        {"order_id": "2169406222", "price": D("10.4")},
    ),
    "7.4.5 levels": (
        "modify_position",
        {"symbol": MNQ, "sl": 30480, "tp": 30700},
        {},
        ModifyPosition,
        {"position": MNQ, "levels": Levels(stop_loss=D(30480), take_profit=D(30700))},
    ),
    "7.4.5 a level that is null": (
        "modify_position",
        {"symbol": MNQ, "sl": None, "tp": 30700},
        {},
        ModifyPosition,
        {"levels": Levels(stop_loss=UNSET, take_profit=D(30700))},
    ),
    "7.4.6 cancel": ("cancel", {"id": 2169406222}, {}, CancelOrder, {"order_id": "2169406222"}),
    "7.4.7 close": ("close_position", {"symbol": MNQ}, {}, ClosePosition, {"position": MNQ, "amount": None}),
    "7.4.7 part close": ("close_position", {"symbol": MNQ, "qty": 500}, {}, ClosePosition, {"amount": D(500)}),
    "7.4.10 rejection": (
        "place",
        {"symbol": MNQ, "type": "market", "qty": 1, "side": "buy"},
        {"error": "no"},
        Refused,
        {"text": "no"},
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_of_a_call_is_read(name: str) -> None:
    action, body, answer, kind, expected = SAMPLES[name]
    found = read(Desk().posted(action, body, answer), PAPER)[-1]
    assert isinstance(found, kind)
    assert {field: getattr(found, field) for field in expected} == expected


def test_a_market_order_with_brackets_and_its_frames_are_two_facts() -> None:
    story = Desk()
    story.account_poll()
    body = SAMPLES["7.4.1 market with brackets"][1]
    story.post("place", body, PLACED)
    story.push(
        "order_update",
        id=2169406222,
        symbol=MNQ,
        symboltype="futures",
        side="buy",
        qty=1,
        type="market",
        status="filled",
        price=30563.25,
        sl=30463.25,
        tp=30663.25,
        **{"close-date": 1753534161},
    )
    story.push(
        "order_update",
        id="2169406223",
        symbol=MNQ,
        side="sell",
        qty=1,
        type="stop",
        status="working",
        price=30463.25,
        label="sl",
        parent="2169406222",
    )
    story.push("position_update", symbol=MNQ, side="buy", qty=1, avg_price=30563.25, sl=30463.25, tp=30663.25)
    story.push("execution_update", price=30563.25)
    assert story.kinds() == ["order.placed", "order.filled"]
    assert story.facts[0].contract is not None
    assert story.facts[0].contract.unit == "contracts"
    assert story.facts[1].levels == Levels(stop_loss=D("30463.25"), take_profit=D("30663.25"))
    assert story.facts[1].price == D("30563.25")


FRAMES = ["order", "position", "child"]


@given(st.permutations(FRAMES), st.integers(0, 3))
def test_frames_may_come_in_any_order_and_before_the_reply(order: list[str], before_reply: int) -> None:
    story = Desk()
    story.account_poll()
    body = SAMPLES["7.4.1 market with brackets"][1]
    story.wait(1)
    waiting = story.exchange("POST", "/trading/place/1234567", json.dumps(body).encode(), status=None, left=0, flow="c")
    story.hear(waiting)
    frames = iter(frames_of_a_fill(story, order))
    for frame in [next(frames) for _ in range(before_reply)]:
        assert story.hear(frame) == []
    story.wait(1)
    story.hear(replace(waiting, status=200, answer=json.dumps(PLACED).encode(), answered=story.now))
    for frame in frames:
        story.hear(frame)
    assert story.kinds() == ["order.placed", "order.filled"]
    assert story.picture.positions[MNQ].amount.held == 1


def frames_of_a_fill(story: Story, order: list[str]) -> Iterator[Frame]:
    said: dict[str, tuple[str, dict[str, object]]] = {
        "order": (
            "order_update",
            {"id": 2169406222, "symbol": MNQ, "side": "buy", "qty": 1, "type": "market", "status": "filled"},
        ),
        "position": ("position_update", {"symbol": MNQ, "side": "buy", "qty": 1, "avg_price": 30563.25}),
        "child": (
            "order_update",
            {
                "id": 3,
                "symbol": MNQ,
                "side": "sell",
                "qty": 1,
                "type": "stop",
                "status": "working",
                "price": 30463.25,
                "label": "sl",
                "parent": 2169406222,
            },
        ),
    }
    for name in order:
        yield pushed(said[name][0], story, said[name][1])


def held(size: int = 1) -> Desk:
    story = Desk()
    story.account_poll()
    story.post(
        "place", {"symbol": MNQ, "type": "market", "qty": size, "side": "buy", "sl": 30463.25}, PLACED | {"qty": size}
    )
    story.push("order_update", id=2169406222, symbol=MNQ, side="buy", qty=size, type="market", status="filled")
    story.push("position_update", symbol=MNQ, side="buy", qty=size)
    return story


def test_a_close_is_one_change_however_often_it_is_pushed() -> None:
    story = held()
    story.post("close_position", {"symbol": MNQ})
    story.push("position_update", symbol=MNQ, side="empty", qty=0)
    story.push("position_update", symbol=MNQ, side="empty", qty=0)
    story.push("account_change_update", before=100000, after=100120)
    story.account_poll()
    assert totals(story) == ["1", "1", "0", "0"]
    assert story.kinds()[2:] == ["position.closed", "position.closed"]


def test_a_part_close_leaves_the_rest() -> None:
    story = held(4)
    story.post("close_position", {"symbol": MNQ, "qty": 1})
    story.push("position_update", symbol=MNQ, side="buy", qty=3)
    assert totals(story)[-1] == "3"


def test_a_short_position_may_be_pushed_with_a_negative_size() -> None:
    story = Desk()
    story.account_poll()
    story.post(
        "place", {"symbol": MNQ, "type": "market", "qty": 2, "side": "sell"}, PLACED | {"side": "sell", "qty": 2}
    )
    story.push("position_update", symbol=MNQ, side="sell", qty=-2)
    assert totals(story) == ["-2", "-2"]


def test_a_frame_without_levels_removes_none_and_a_cancelled_child_does() -> None:
    story = held()
    child = {
        "id": 9,
        "symbol": MNQ,
        "side": "sell",
        "qty": 1,
        "type": "stop",
        "price": 30463.25,
        "label": "sl",
        "parent": 2169406222,
    }
    story.push("order_update", status="working", **child)
    before = len(story.facts)
    story.push("position_update", symbol=MNQ, side="buy", qty=1)
    assert len(story.facts) == before
    assert story.push("order_update", status="cancelled", **child) == []
    story.wait(1)
    (removed,) = story.push("position_update", symbol=MNQ, side="buy", qty=1)
    assert removed.levels.stop_loss is None
    story.wait(5)
    assert story.push("position_update", symbol=MNQ, side="buy", qty=1) == []


def test_an_order_from_the_phone_counts_at_once() -> None:
    story = Desk()
    story.account_poll()
    said = {"id": 5, "symbol": MNQ, "symboltype": "futures", "side": "buy", "qty": 1, "type": "limit", "price": 30000}
    (placed,) = story.push("order_update", status="", **said)
    assert placed.evidence == "poll"
    (ended,) = story.push("order_update", status="expired", **said)
    assert isinstance(ended, OrderEnded)
    assert ended.reason == "expired"


def test_a_resting_order_that_fills_is_no_stranger_whatever_frame_comes_first() -> None:
    story = Desk()
    story.account_poll()
    story.post(
        "place", {"symbol": MNQ, "type": "limit", "qty": 1, "side": "buy", "price": 30000}, PLACED | {"type": "limit"}
    )
    story.push("position_update", symbol=MNQ, side="buy", qty=1)
    story.push("order_update", id=2169406222, symbol=MNQ, side="buy", qty=1, type="limit", status="filled", price=30000)
    story.push("position_update", symbol=MNQ, side="buy", qty=1)
    assert story.kinds() == ["order.placed", "order.filled"]


def test_what_the_account_held_before_is_stated_as_unchanged() -> None:
    story = Desk()
    story.account_poll({"symbol": MNQ, "qty": -3, "symboltype": "futures"})
    story.push("position_update", symbol=MNQ, side="sell", qty=3)
    assert [(int(f.exposure.before.held), int(f.exposure.after.held)) for f in story.facts] == [(-3, -3)]


def test_a_unit_that_nobody_knows_is_not_guessed() -> None:
    story = Desk()
    story.account_poll()
    body = {"symbol": "OANDA:XAUUSD", "type": "market", "qty": 1, "side": "buy"}
    assert story.post("place", body, {"id": 1, "status": "filled", "symboltype": "commodity"}) == []
    assert "unit-unknown" in story.noted()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/trading/get_currency_rate/rate", "ignored"),
        ("/trading/get_trades/1234567", "ignored"),
        ("/trading/accounts", "ignored"),
        ("/trading/exit_position/1234567", "unknown"),
        ("/other", "unknown"),
    ],
)
def test_what_does_not_trade_is_no_call(path: str, kind: str) -> None:
    heard = Desk().exchange("POST", path, b"{}", {})
    (found,) = read(heard, PAPER)
    assert isinstance(found, Note)
    assert found.kind == kind


def test_only_digits_are_an_account() -> None:
    everyone = replace(PAPER, account="*")
    assert accounts(Desk().exchange("POST", "/trading/place/rate", b"{}", {}), everyone) == ()
    assert accounts(Desk().exchange("POST", "/trading/place/77", b"{}", {}), everyone) == ("77",)


def test_other_channels_and_other_accounts_are_left_alone() -> None:
    story = Desk()
    alert = replace(pushed("x", story, {}), text=b'{"text":{"channel":"alerts","content":{"m":"order_update"}}}')
    assert read(alert, PAPER) == (Note("ignored", "frame of another channel"),)
    assert accounts(alert, PAPER) == ()
    assert accounts(pushed("order_update", story, {}, account="99"), PAPER) == ()
    assert read(replace(pushed("order_update", story, {}), from_client=True), PAPER) == ()


def test_a_5xx_is_unanswered_and_a_4xx_refused() -> None:
    story = Desk()
    body = {"symbol": MNQ}
    assert isinstance(read(story.posted("close_position", body, b"", status=502), PAPER)[-1], Unanswered)
    assert isinstance(read(story.posted("close_position", body, b"", status=403), PAPER)[-1], Refused)


def test_the_account_poll_needs_readable_positions() -> None:
    story = Desk()
    (failed,) = read(story.posted("account", {}, {"positions": [{"qty": 1}]}), PAPER)
    assert isinstance(failed, Note)
    assert failed.kind == "poll-failed"
    note, poll = read(story.posted("account", {}, {"positions": [{"symbol": "A", "qty": "x"}]}), PAPER)
    assert isinstance(note, Note)
    assert isinstance(poll, PositionsShown)
    assert poll.unreadable == {"A"}


def test_a_reply_that_names_the_kind_of_symbol_teaches_its_unit() -> None:
    first, _ = read(Desk().posted("place", SAMPLES["7.4.1 market with brackets"][1], PLACED), PAPER)
    assert isinstance(first, InstrumentsShown)
    assert first.rows[0].unit == "contracts"


def test_both_paper_hosts_and_the_push_host_belong_together_and_a_stand_in_is_alone() -> None:
    assert len(hosts(PAPER)) == 3
    assert hosts(replace(PAPER, host="127.0.0.1")) == {"127.0.0.1"}
    assert asks(replace(Desk().posted("cancel", {"id": 1}), scheme="http"), PAPER) is None


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6),
        lambda inner: st.dictionaries(
            st.sampled_from(["text", "channel", "content", "m", "p", "accountId", "symbol", "qty", "side", "id"]), inner
        ),
        max_leaves=10,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_frame_raises_nothing_and_invents_no_fact(content: bytes) -> None:
    story = Desk()
    frame = replace(pushed("x", story, {}), text=content, at=START)
    assert read(frame, PAPER) != ()
    assert story.hear(frame) == []
