"""What a link has after its mirrors filled; the effects of steps are in test_settle."""

from decimal import Decimal

from executor.book import Link, Part, Pending
from executor.parts import adopt_fill, after_step, down_to, let_go
from executor.reasons import Denied, Reason
from executor.results import Done, StepResult
from executor.steps import Open, Reduce

D = Decimal
BUY = Part(ticket=1, identifier=1, volume=D(1), side="buy")
OLD = Part(ticket=2, identifier=2, volume=D("0.5"), side="buy")
LINK = Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=(OLD, BUY))
CROSS = Open(name="cross", link="k", symbol="EURUSD", side="sell", volume=D("0.4"))


def test_a_mirrors_fill_is_adopted_once_however_often_it_is_told() -> None:
    pending = Pending(ticket=5, type="limit", side="buy", volume=D(1), price=D(1), quantity=D(1))
    link = Link(key="k", instrument="EURUSD", symbol="EURUSD", pendings={"L": pending})
    half = adopt_fill(link, "L", D("0.5"), 5)
    assert half.own == D("0.5")
    assert adopt_fill(half, "L", D("0.5"), 5) == half
    whole = adopt_fill(half, "L", D(1), 5)
    assert whole.parts == (Part(ticket=5, identifier=5, volume=D(1), side="buy"),)


def test_on_a_netting_account_an_opposite_fill_takes_from_our_share() -> None:
    pending = Pending(ticket=5, type="limit", side="sell", volume=D(1), price=D(1), quantity=D(1))
    part = Part(ticket=1, identifier=1, volume=D("0.4"), side="buy")
    link = Link(key="k", instrument="EURUSD", symbol="EURUSD", pendings={"L": pending}, parts=(part,))
    adopted = adopt_fill(link, "L", D(1), 1, margin="netting")
    assert [(p.side, p.volume) for p in adopted.parts] == [("sell", D("0.6"))]


def test_volume_is_taken_off_the_part_that_a_step_names() -> None:
    step = Reduce(name="reduce:1", link="k", ticket=1, symbol="EURUSD", side="buy", volume=D("0.3"), floor=D("0.7"))
    after = after_step(LINK, StepResult(step, Done(ticket=9, volume=D("0.2"))), None)
    assert [p.volume for p in after.parts] == [D("0.5"), D("0.8")]


def test_on_a_netting_account_volume_is_taken_off_the_oldest_part() -> None:
    step = Reduce(name="reduce", link="k", ticket=77, symbol="EURUSD", side="buy", volume=D("0.7"), floor=D(0))
    after = after_step(LINK, StepResult(step, Done(ticket=9)), None)
    assert [(p.identifier, p.volume) for p in after.parts] == [(1, D("0.8"))]


def test_what_could_not_cross_to_the_other_side_is_let_go_only_at_the_end() -> None:
    refused = StepResult(CROSS, Denied(Reason.STATE, {"state": "close-only"}))
    assert after_step(LINK, refused, None) == LINK
    assert let_go(LINK, [refused]).own == D("1.1")
    crossed = StepResult(CROSS, Done(ticket=9, volume=D("0.4")))
    assert let_go(after_step(LINK, crossed, None), [crossed]).own == D("1.1")


def test_a_paid_debt_leaves_its_target_and_no_more() -> None:
    assert down_to(LINK, D("0.3")).own == D("0.3")
    assert down_to(LINK, D(2)) == LINK
    assert down_to(LINK, D(0)).parts == ()
