"""Steps as requests: types, filling modes, prices, volumes, times."""

import math
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Book
from executor.mt5.api import MAX_TEXT, OrderFilling, OrderTime, OrderType, TradeAction, utf16_units
from executor.mt5.simulator import levels
from executor.mt5.simulator.market import catalogue
from executor.requests import as_asked, comment, fillings, request, taking
from executor.steps import Move, Rest, Step
from tests.executor import accounts
from tests.executor.accounts import EURUSD, holding
from tests.executor.test_classify import CLOSE, MOVE, OPEN, PROTECT, REDUCE, REST, STOPPED, WITHDRAW

D = Decimal
ACCOUNT = accounts.settings()
BOOK = replace(accounts.book(), holdings={7: holding(7, volume="2")})
F = OrderFilling
FLOATS = {"volume", "price", "stoplimit", "sl", "tp"}


def asked(step: Step, book: Book = BOOK, **how: object) -> dict[str, int | float | str]:
    return request(step, book, 42, ACCOUNT, tag="fact", **how).to_dict()  # type: ignore[arg-type]


def test_a_buy_pays_the_ask_and_bears_mark_and_comment() -> None:
    assert asked(STOPPED) == {
        "action": TradeAction.DEAL,
        "symbol": "EURUSD",
        "volume": 1.0,
        "type": OrderType.BUY,
        "type_filling": F.FOK,
        "price": 1.10001,
        "deviation": 20,
        "sl": 1.05,
        "magic": 42,
        "comment": "TC fact",
    }


def test_a_close_sells_the_whole_position_at_the_bid() -> None:
    sent = asked(CLOSE)
    assert (sent["position"], sent["type"], sent["volume"], sent["price"]) == (7, OrderType.SELL, 2.0, 1.1)


def test_a_reduce_never_takes_what_must_remain() -> None:
    assert taking(REDUCE, BOOK) == 1
    smaller = replace(BOOK, holdings={7: holding(7, volume="1.3")})
    assert asked(REDUCE, smaller)["volume"] == 0.3
    with pytest.raises(ValueError, match="no volume left"):
        asked(REDUCE, replace(BOOK, holdings={7: holding(7, volume="1")}))


def test_levels_are_sent_bare_and_both() -> None:
    assert asked(PROTECT) == {"action": TradeAction.SLTP, "position": 7, "symbol": "EURUSD", "sl": 1.0, "tp": 0.0}


def test_a_withdrawal_names_only_the_order() -> None:
    assert asked(WITHDRAW) == {"action": TradeAction.REMOVE, "order": 8}


@pytest.mark.parametrize(
    ("kind", "side", "expected"),
    [
        ("limit", "buy", OrderType.BUY_LIMIT),
        ("limit", "sell", OrderType.SELL_LIMIT),
        ("stop", "buy", OrderType.BUY_STOP),
        ("stop", "sell", OrderType.SELL_STOP),
        ("stoplimit", "buy", OrderType.BUY_STOP_LIMIT),
        ("stoplimit", "sell", OrderType.SELL_STOP_LIMIT),
    ],
)
def test_resting_orders_have_their_type(kind: str, side: str, expected: OrderType) -> None:
    assert asked(replace(REST, type=kind, side=side, stop_limit=D("1.2")))["type"] == expected


EXPIRES = datetime(2026, 3, 3, tzinfo=UTC)


MOMENT = datetime(2026, 3, 2, tzinfo=UTC)
UNTIL = {"G": OrderTime.GTC, "D": OrderTime.DAY, "S": OrderTime.SPECIFIED, "d": OrderTime.SPECIFIED_DAY}
LIFETIMES = [
    # the symbol's flags; what is asked for when the source's order ends and the broker's clock is known, when it ends
    # and the clock is not known, and when it does not end
    (0, "G", "G", "G"),
    (1, "G", "G", "G"),
    (2, "D", "D", "D"),
    (3, "G", "G", "G"),
    (4, "S", "S", "S"),
    (5, "S", "G", "G"),
    (6, "S", "S", "S"),
    (7, "S", "G", "G"),
    (8, "d", "d", "d"),
    (9, "d", "G", "G"),
    (10, "d", "d", "d"),
    (11, "d", "G", "G"),
    (12, "S", "S", "S"),
    (13, "S", "G", "G"),
    (14, "S", "S", "S"),
    (15, "S", "G", "G"),
]


@pytest.mark.parametrize(("mode", "known", "unknown", "endless"), LIFETIMES)
@pytest.mark.parametrize("step", [REST, MOVE], ids=["rest", "move"])
def test_an_order_rests_as_long_as_the_sources_and_else_rather_too_long(
    step: Rest | Move, mode: int, known: str, unknown: str, endless: str
) -> None:
    book = replace(BOOK, specifications={"EURUSD": replace(EURUSD, expiration_mode=mode)})
    ends, hour = int(EXPIRES.timestamp()), 3600
    latest = int(MOMENT.timestamp()) + 90 * 24 * hour
    for offset, expires, until, dated in (
        (2 * hour, EXPIRES, known, ends + 2 * hour),
        (None, EXPIRES, unknown, ends + 14 * hour),
        (2 * hour, None, endless, latest + 2 * hour),
        (None, None, endless, latest + 14 * hour),
    ):
        sent = asked(replace(step, expires=expires), book, clock_offset=offset, now=MOMENT)
        assert sent["type_time"] == UNTIL[until]
        assert sent.get("expiration", 0) == (dated if until in "Sd" else 0)


@pytest.mark.parametrize("mode", range(1, 16))
def test_the_lifetime_that_is_asked_for_is_one_that_the_broker_takes(mode: int) -> None:
    rules = catalogue("")["EURUSD"]
    rules = replace(rules, expiration=mode)
    book = replace(BOOK, specifications={"EURUSD": replace(EURUSD, expiration_mode=mode)})
    for expires in (EXPIRES, None):
        for offset in (0, None):
            sent = asked(replace(REST, expires=expires), book, clock_offset=offset, now=MOMENT)
            clock = int(MOMENT.timestamp() * 1000)
            assert levels.expiry(rules, int(sent["type_time"]), int(sent.get("expiration", 0)), clock) is None


@pytest.mark.parametrize(
    ("execution", "mask", "step", "modes"),
    [
        ("market", 1, OPEN, (F.FOK,)),
        ("market", 2, OPEN, (F.IOC,)),
        ("market", 3, OPEN, (F.FOK, F.IOC)),
        ("market", 3, CLOSE, (F.IOC, F.FOK)),
        ("market", 0, OPEN, (F.FOK, F.IOC)),
        ("market", 4, OPEN, (F.FOK, F.IOC)),
        ("exchange", 3, OPEN, (F.FOK, F.IOC, F.RETURN)),
        ("exchange", 0, OPEN, (F.RETURN,)),
        ("exchange", 3, REDUCE, (F.IOC, F.RETURN, F.FOK)),
        ("instant", 2, OPEN, (F.FOK, F.IOC)),
        ("request", 0, CLOSE, (F.FOK, F.IOC)),
        ("market", 1, REST, (F.RETURN, F.FOK)),
        ("market", 1, replace(REST, type="stop"), (F.FOK, F.RETURN)),
        ("market", 0, replace(REST, type="stop"), (F.RETURN,)),
    ],
)
def test_filling_modes_follow_execution_and_mask(
    execution: str, mask: int, step: Step, modes: tuple[OrderFilling, ...]
) -> None:
    rules = replace(EURUSD, execution=execution, filling_mode=mask)
    assert fillings(step, rules) == modes
    assert asked(step, replace(BOOK, specifications={"EURUSD": rules}))["type_filling"] == modes[0]


def test_without_the_rules_an_exit_has_every_filling_mode_to_try() -> None:
    assert set(fillings(CLOSE, None)) == {F.FOK, F.IOC, F.RETURN}
    assert asked(CLOSE, replace(BOOK, specifications={}))["type_filling"] == F.IOC


def test_another_filling_mode_can_be_asked_for() -> None:
    assert asked(OPEN, filling=F.IOC)["type_filling"] == F.IOC


@pytest.mark.parametrize(
    ("step", "book", "so"),
    [
        (OPEN, BOOK, False),
        (REST, BOOK, False),
        (CLOSE, BOOK, False),
        (CLOSE, replace(BOOK, holdings={}), True),
        (REDUCE, BOOK, False),
        (REDUCE, replace(BOOK, holdings={7: holding(7, volume="1")}), True),
        (REDUCE, replace(BOOK, holdings={}), True),
        (PROTECT, BOOK, False),
        (PROTECT, replace(BOOK, holdings={7: holding(7, stop_loss=D(1))}), True),
        (WITHDRAW, BOOK, True),
        (MOVE, BOOK, False),
    ],
)
def test_whether_the_account_is_as_asked_already(step: Step, book: Book, so: bool) -> None:
    assert as_asked(step, book) is so


def test_on_a_netting_account_a_position_that_turned_is_not_ours_to_close() -> None:
    book = replace(accounts.book("netting"), holdings={9: holding(9, "sell", "1")})
    assert as_asked(REDUCE, book)
    followed = replace(accounts.book("netting"), holdings={9: holding(9, "buy", "3")})
    assert asked(REDUCE, followed)["position"] == 9


@given(tag=st.text(max_size=80))
def test_a_comment_fits_whatever_is_in_it(tag: str) -> None:
    assert utf16_units(comment(tag)) <= MAX_TEXT


prices = st.decimals(D("0.00001"), D(100000), places=5)
volumes = st.integers(1, 10000).map(lambda n: D(n) / 100)


@given(
    volume=volumes, price=prices, stop=st.none() | prices, mark=st.integers(0, 2**53 - 1), step=st.sampled_from("ormp")
)
def test_no_request_has_an_int_for_a_float_or_a_nan(
    volume: Decimal, price: Decimal, stop: Decimal | None, mark: int, step: str
) -> None:
    steps: dict[str, Step] = {
        "o": replace(OPEN, volume=volume, stop_loss=stop),
        "r": replace(REST, volume=volume, price=price, take_profit=stop),
        "m": replace(MOVE, price=price, stop_loss=stop),
        "p": replace(PROTECT, stop_loss=stop, take_profit=price),
    }
    for name, value in request(steps[step], BOOK, mark, ACCOUNT).to_dict().items():
        assert isinstance(value, float) is (name in FLOATS)
        assert not isinstance(value, float) or math.isfinite(value)
