"""What is known after a call, for every code that MetaTrader 5 has."""

import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from executor.classify import NOT_SENT, REFUSED, TABLE, Meaning, NotSent, Passing, Retry, Unresolved, classify
from executor.mt5 import api
from executor.mt5.api import Answered, Expired, LastError, Lost, NoResult, OrderSendResult, Retcode, SentRequest
from executor.reasons import Obstacle
from executor.results import Already, Done, Rejected
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw, kind

D = Decimal
SENT = SentRequest(1, 0, 0, "EURUSD", 1.0, 0.0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, "", 0, 0)
OPEN = Open(name="open", link="k", symbol="EURUSD", side="buy", volume=D(1))
STOPPED = Open(name="open", link="k", symbol="EURUSD", side="buy", volume=D(1), stop_loss=D("1.05"))
REST = Rest(name="rest", link="k", order="L", symbol="EURUSD", type="limit", side="buy", volume=D(1), price=D(1))
CLOSE = Close(name="close:7", link="k", ticket=7, symbol="EURUSD", side="buy", volume=D(1))
REDUCE = Reduce(name="reduce:7", link="k", ticket=7, symbol="EURUSD", side="buy", volume=D(1), floor=D(1))
PROTECT = Protect(name="protect:7", link="k", ticket=7, symbol="EURUSD", stop_loss=D(1), take_profit=None)
MOVE = Move(name="move", link="k", order="L", ticket=8, symbol="EURUSD", price=D(1))
WITHDRAW = Withdraw(name="withdraw", link="k", order="L", ticket=8, symbol="EURUSD")
STEPS: list[Step] = [OPEN, STOPPED, REST, CLOSE, REDUCE, PROTECT, MOVE, WITHDRAW]
EXITS: list[Step] = [CLOSE, REDUCE]


def answer(code: int, order: int = 55, deal: int = 66, volume: float = 1.0, price: float = 1.1) -> Answered:
    """A reply of the trade server."""
    result = OrderSendResult(code, deal, order, volume, price, 0.0, 0.0, "", 1, 0, SENT)
    return Answered(result, (1, "Success"), 1, 2)


def test_the_table_has_every_retcode_with_a_reason() -> None:
    assert set(TABLE) == set(Retcode)
    assert all(row.why and row.reason for row in TABLE.values())


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [*Retcode, 0, 1, 9999, 10005, 10099, -1])
def test_an_exit_or_a_cancel_is_never_given_up_and_an_opening_never_owed(code: int, step: Step) -> None:
    verdict = classify(answer(code), step)
    settled = verdict.otherwise if isinstance(verdict, Retry) else verdict
    if isinstance(step, Open | Rest):
        assert not isinstance(settled, Passing)
    elif not isinstance(step, Move):
        assert not isinstance(settled, Rejected)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [0, 10001, 10005, 10037, 10047, 20000])
def test_a_code_in_no_list_is_unresolved(code: int, step: Step) -> None:
    assert isinstance(classify(answer(code), step), Unresolved)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("code", [Retcode.ERROR, Retcode.TIMEOUT, Retcode.CONNECTION])
def test_an_ambiguous_code_is_unresolved(code: int, step: Step) -> None:
    assert isinstance(classify(answer(code), step), Unresolved)


def test_done_names_order_deal_volume_and_price() -> None:
    done = classify(answer(Retcode.DONE, volume=0.3, price=1.10001), OPEN)
    assert done == Done(ticket=55, identifier=55, deal=66, volume=D("0.3"), price=D("1.10001"), retcode=Retcode.DONE)


def test_a_done_opening_without_a_ticket_is_searched() -> None:
    assert isinstance(classify(answer(Retcode.DONE, order=0, deal=0), OPEN), Unresolved)


@pytest.mark.parametrize("step", [OPEN, CLOSE, REDUCE])
@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_done_step_whose_volume_is_no_number_is_searched(number: float, step: Step) -> None:
    assert isinstance(classify(answer(Retcode.DONE, volume=number), step), Unresolved)


@pytest.mark.parametrize("number", [math.nan, math.inf, 0.0])
def test_a_price_that_is_no_number_is_not_told(number: float) -> None:
    done = classify(answer(Retcode.DONE, price=number), OPEN)
    assert isinstance(done, Done)
    assert done.price is None


def test_a_partly_done_exit_tells_the_volume() -> None:
    done = classify(answer(Retcode.DONE_PARTIAL, volume=0.4), REDUCE)
    assert isinstance(done, Done)
    assert done.volume == D("0.4")


@pytest.mark.parametrize("step", [OPEN, CLOSE, REDUCE])
def test_a_market_order_that_is_only_placed_is_followed_until_it_fills(step: Step) -> None:
    assert classify(answer(Retcode.PLACED), step) == Unresolved(Obstacle.PLACED, Retcode.PLACED, "Order placed")


def test_a_resting_order_that_is_placed_is_done() -> None:
    assert isinstance(classify(answer(Retcode.PLACED, deal=0, price=0.0), REST), Done)


@pytest.mark.parametrize("step", [PROTECT, MOVE, WITHDRAW])
def test_levels_and_orders_are_done_without_a_ticket_in_the_answer(step: Step) -> None:
    done = classify(answer(Retcode.DONE, order=0, deal=0, volume=0.0, price=0.0), step)
    assert isinstance(done, Done)


@pytest.mark.parametrize(
    ("code", "step", "how"),
    [
        (Retcode.REQUOTE, OPEN, "price"),
        (Retcode.PRICE_CHANGED, CLOSE, "price"),
        (Retcode.PRICE_OFF, REDUCE, "price"),
        (Retcode.INVALID_PRICE, OPEN, "price"),
        (Retcode.INVALID_FILL, OPEN, "filling"),
        (Retcode.INVALID_FILL, CLOSE, "filling"),
        (Retcode.TOO_MANY_REQUESTS, WITHDRAW, "backoff"),
        (Retcode.LOCKED, PROTECT, "backoff"),
        (Retcode.INVALID_STOPS, STOPPED, "levels"),
    ],
)
def test_what_is_worth_asking_again_says_how(code: int, step: Step, how: str) -> None:
    verdict = classify(answer(code), step)
    assert isinstance(verdict, Retry)
    assert verdict.how == how


def test_a_resting_orders_wrong_price_is_not_asked_again() -> None:
    assert isinstance(classify(answer(Retcode.INVALID_PRICE), REST), Rejected)


def test_refused_levels_of_an_opening_without_levels_reject_it() -> None:
    assert isinstance(classify(answer(Retcode.INVALID_STOPS), OPEN), Rejected)


def test_a_closed_position_needs_no_exit_and_takes_no_opening() -> None:
    assert classify(answer(Retcode.POSITION_CLOSED), CLOSE) == Already(Retcode.POSITION_CLOSED)
    assert isinstance(classify(answer(Retcode.POSITION_CLOSED), OPEN), Rejected)


def test_levels_that_are_already_so_are_no_refusal() -> None:
    assert classify(answer(Retcode.NO_CHANGES), PROTECT) == Already(Retcode.NO_CHANGES)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (LastError.E_INVALID_PARAMS, Rejected),
        (LastError.E_AUTO_TRADING_DISABLED, Rejected),
        (LastError.E_INTERNAL_FAIL_CONNECT, NotSent),
        (LastError.E_INTERNAL_FAIL_SEND, NotSent),
        (LastError.E_INTERNAL_FAIL_INIT, NotSent),
        (LastError.E_INTERNAL_FAIL_RECEIVE, Unresolved),
        (LastError.E_INTERNAL_FAIL, Unresolved),
        (LastError.E_INTERNAL_FAIL_TIMEOUT, Unresolved),
        (LastError.E_FAIL, Unresolved),
        (LastError.E_NO_MEMORY, Unresolved),
        (LastError.E_NOT_FOUND, Unresolved),
        (LastError.E_INVALID_VERSION, Unresolved),
        (LastError.E_AUTH_FAILED, Unresolved),
        (LastError.E_UNSUPPORTED, Unresolved),
        (LastError.S_OK, Unresolved),
        (-77, Unresolved),
    ],
)
def test_no_result_is_judged_by_the_last_error(code: int, verdict: type) -> None:
    assert isinstance(classify(NoResult((code, "text"), 1, 2), OPEN), verdict)


def test_every_last_error_is_in_exactly_one_class() -> None:
    assert not set(NOT_SENT) & set(REFUSED)


def test_what_the_vendor_never_saw_was_not_sent() -> None:
    assert isinstance(classify(Expired(2, 1), OPEN), NotSent)
    assert isinstance(classify(api.NotSent("no child"), CLOSE), NotSent)


def test_what_was_handed_over_and_lost_is_unresolved() -> None:
    assert isinstance(classify(Lost("the child died"), CLOSE), Unresolved)


@given(code=st.integers(), error=st.integers(), step=st.sampled_from(STEPS))
def test_only_a_named_code_makes_anything_certain(code: int, error: int, step: Step) -> None:
    if code not in TABLE:
        assert isinstance(classify(answer(code), step), Unresolved)
    if error not in NOT_SENT and error not in REFUSED:
        assert isinstance(classify(NoResult((error, ""), 1, 2), step), Unresolved)


def test_only_the_classes_for_done_give_done() -> None:
    done = {code for code in TABLE for step in STEPS if isinstance(classify(answer(code), step), Done)}
    assert done == {
        code for code, row in TABLE.items() if row.meaning in {Meaning.DONE, Meaning.PARTLY, Meaning.PLACED}
    }
    assert all(kind(step) == "reduce" for step in EXITS)
