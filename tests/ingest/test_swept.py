"""A close of all, and a resting order that filled in the same moment: what is held is settled by the first answers that
can say which came first."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.story import NETTING, Story, order, position

D = Decimal
WAYS = ["buy", "sell"]
FIRST = ["orders", "positions"]


class Moment:
    """An account is long 2, an order for 1 more or less rests, and the trader closes all: by DELETE, or by `amount`."""

    def __init__(self, side: str, **amount: str) -> None:
        self.story = story = Story(NETTING)
        self.resting: dict[str, Any] = {"side": side, "qty": 1, "type": "limit", "limitPrice": 1.05}
        story.orders()
        story.positions()
        story.place("1", qty="2")
        story.place("2", **{name: str(value) for name, value in self.resting.items()})
        for _ in range(4):
            story.orders(BOUGHT, order("2", **self.resting))
            story.positions(position("n", 2))
        story.call("DELETE", "/positions/n", **amount)
        self.closed = story.now
        self.count = len(story.facts)

    def polls(self, first: str, held: int, *others: object, filled: bool = True, rounds: int = 8) -> None:
        fill = {"status": "filled", "filledQty": 1} if filled else {}
        for _ in range(rounds):
            for kind in sorted(FIRST, key=lambda kind: kind != first):
                if kind == "orders":
                    self.story.orders(BOUGHT, order("2", **self.resting | fill), *others)
                else:
                    self.story.positions(position("n", abs(held), "buy" if held > 0 else "sell"))

    @property
    def told(self) -> list[tuple[float, int]]:
        """How many seconds after the close which total was told."""
        return [
            ((fact.captured - self.closed).total_seconds(), int(fact.exposure.after.total))
            for fact in self.story.facts[self.count :]
        ]

    @property
    def totals(self) -> list[int]:
        return [total for _, total in self.told]

    def end(self) -> tuple[int, int]:
        known = self.story.picture.positions["EURUSD"]
        return int(known.held), int(known.total)


BOUGHT = order("1", "filled", qty=2, filledQty=2)


def listed(quantity: int, name: str = "9") -> dict[str, object]:
    """The order by which the broker has closed."""
    return order(name, "filled", side="sell", qty=quantity, filledQty=quantity, avgPrice=1.08)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize(("side", "taken"), [("buy", 3), ("sell", 1)])
def test_the_order_that_closed_says_that_it_took_what_had_filled_and_nothing_is_opened(
    side: str, taken: int, first: str
) -> None:
    moment = Moment(side)
    moment.polls(first, 0, listed(taken))
    assert set(moment.totals) == {0}
    moment.story.wait(40)
    moment.polls(first, 0, listed(taken))
    assert moment.end() == (0, 0)
    assert moment.story.picture.missed == (), "nobody has to look for what it did"
    assert "unsettled" not in moment.story.noted()


@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize(("side", "taken"), [("buy", 3), ("sell", 1)])
def test_it_says_so_too_when_it_is_listed_after_the_fill(side: str, taken: int, carried: bool) -> None:
    moment = Moment(side)
    if carried:
        moment.polls("positions", 0, rounds=1)
    else:
        moment.polls("orders", 2, rounds=1)
    wrong = moment.totals[-1]
    before = len(moment.told)
    moment.polls("orders", 0, listed(taken))
    assert (abs(wrong), set(moment.totals[before:]), moment.end()) == (1, {0}, (0, 0))
    moment.story.wait(40)
    moment.polls("orders", 0, listed(taken))
    assert (moment.end(), moment.story.picture.missed) == ((0, 0), ())


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("side", WAYS)
@pytest.mark.parametrize("others", [(), (listed(2),)], ids=["not listed", "listed"])
def test_what_fills_after_the_close_is_held(side: str, first: str, others: tuple[object, ...]) -> None:
    moment = Moment(side)
    moment.polls(first, 0, *others, filled=False, rounds=1)
    held = 1 if side == "buy" else -1
    moment.polls(first, held, *others)
    assert (moment.totals[-1], moment.end()) == (held, (held, held))
    assert set(moment.totals) <= {0, held}, "and nothing else on the way"


@pytest.mark.parametrize("shown", [True, False])
@pytest.mark.parametrize("side", WAYS)
def test_a_poll_that_lags_behind_takes_no_fill_back(side: str, shown: bool) -> None:
    moment, held = Moment(side), 1 if side == "buy" else -1
    if shown:
        moment.polls("positions", 0, filled=False, rounds=1)
    moment.polls("orders", 0, rounds=1)
    moment.polls("orders", held)
    assert moment.totals[-1] == held
    assert moment.totals == sorted(moment.totals, key=abs), "what was told to have filled was not undone in between"


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("side", WAYS)
def test_where_it_is_not_listed_a_poll_that_cannot_lag_says_it(side: str, first: str) -> None:
    moment = Moment(side)
    moment.polls(first, 0)
    assert moment.end() == (0, 0)
    assert moment.told[-1][0] <= 5
    assert "unsettled" not in moment.story.noted()


@pytest.mark.parametrize(
    "others",
    [(listed(3), listed(1, "8")), (listed(3), listed(1, "8") | {"side": "buy"}), (listed(4),), (listed(2),)],
    ids=["others have sold too", "others have bought", "one of another size", "one of what was known"],
)
def test_orders_that_do_not_say_it_are_not_believed(others: tuple[object, ...]) -> None:
    moment = Moment("buy")
    moment.polls("orders", 3, *others, rounds=1)
    assert moment.totals == [1]


def test_a_close_of_a_part_goes_no_further_than_to_zero_when_less_was_left() -> None:
    moment = Moment("sell", amount="1.5")
    moment.polls("orders", 0)
    assert moment.end() == (0, 0)
    assert moment.told[-1][0] <= 5


def test_what_was_closed_long_ago_says_nothing_of_what_fills_now() -> None:
    moment = Moment("buy")
    moment.polls("orders", 0, filled=False)
    moment.story.wait(31)
    before = len(moment.told)
    moment.polls("orders", 1, listed(3))
    assert (moment.end(), moment.totals[before]) == ((1, 1), 1), "what fills is told at once"
    assert moment.story.picture.positions["EURUSD"].swept is None


class Broker:
    """What a broker shows at any time (in seconds): the order fills at `fills`, the close takes all at `closes`."""

    def __init__(self, side: str, fills: float, closes: float, *, lists: bool) -> None:
        self.fills, self.closes, self.lists = fills, closes, lists
        self.sign = 1 if side == "buy" else -1
        self.taken = 2 + (self.sign if fills < closes else 0)
        self.end = 0 if fills < closes else self.sign

    def held(self, at: float) -> int:
        return (2 if at < self.closes else 0) + (self.sign if self.fills <= at and not self.swept(at) else 0)

    def swept(self, at: float) -> bool:
        return self.fills < self.closes <= at

    def orders(self, at: float, resting: dict[str, Any]) -> list[dict[str, object]]:
        fill = {"status": "filled", "filledQty": 1} if at >= self.fills else {}
        closing = [listed(self.taken)] if self.lists and at >= self.closes else []
        return [BOUGHT, order("2", **resting | fill), *closing]


@settings(max_examples=200, deadline=None)
@given(
    side=st.sampled_from(WAYS),
    fills=st.floats(-0.9, 4).filter(lambda at: at != 0),
    lists=st.booleans(),
    polls=st.lists(st.tuples(st.sampled_from(FIRST), st.floats(0.1, 1.5), st.floats(0, 2)), min_size=8, max_size=30),
)
def test_whatever_came_first_and_however_polls_lag_the_end_is_what_the_broker_holds(
    side: str, fills: float, lists: bool, polls: list[tuple[str, float, float]]
) -> None:
    moment, broker = Moment(side), Broker(side, fills, 0, lists=lists)
    story, shown = moment.story, dict.fromkeys(FIRST, 0.0)
    steady = [(kind, 0.7, 0.0) for _ in range(30) for kind in FIRST]
    for kind, after, lag in [*polls, *steady]:
        now = (story.now - moment.closed).total_seconds() + after
        shown[kind] = at = max(shown[kind], now - lag)  # what was shown once is not taken back
        if kind == "orders":
            story.orders(*broker.orders(at, moment.resting), after=after)
        else:
            held = broker.held(at)
            story.positions(position("n", abs(held), "buy" if held > 0 else "sell"), after=after)
    assert moment.end() == (broker.end, broker.end)
    assert story.picture.missed == ()
