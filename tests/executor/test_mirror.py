"""Resting orders: mirrored, moved, withdrawn, and every way in which the source's and ours can part company."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Margin
from executor.reasons import Denied, Ignored, Obstacle, Reason
from executor.results import Already, Owed
from executor.settings import Sizing
from executor.steps import Move, Open, Rest, Withdraw
from executor.translate import Ignore, Plan, owed_steps
from shared.facts import Fact, Levels, Model
from tests.executor import accounts
from tests.executor.accounts import EURUSD, PerfectAccount
from tests.executor.sources import Source, key

D = Decimal
COMBINATIONS: list[tuple[Model, Margin]] = [("hedging", "hedging"), ("hedging", "netting"), ("netting", "netting")]


def names(plan: Plan | Ignore) -> list[str]:
    assert isinstance(plan, Plan), plan
    return [step.name for step in plan.steps]


def resting(account: PerfectAccount, source: Source, position: str = "o1", **how: Any) -> str:
    """A buy limit of 1 lot, mirrored; gives the link's key."""
    for fact in source.rest(position, "L", "1", **how):
        account.follow(fact)
    return key(position)


def one(facts: list[Fact]) -> Fact:
    (fact,) = facts
    return fact


def test_a_limit_order_is_placed_with_its_price_size_and_levels() -> None:
    account, source = PerfectAccount(), Source()
    plan = account.follow(one(source.rest("o1", "L", "0.5", "1.08", Levels(stop_loss=D("1.07"), take_profit=D("1.2")))))
    assert isinstance(plan, Plan)
    (step,) = plan.steps
    assert isinstance(step, Rest)
    assert (step.type, step.side, step.volume, step.price) == ("limit", "buy", D("0.50"), D("1.08000"))
    assert (step.stop_loss, step.take_profit) == (D("1.07000"), D("1.20000"))


@pytest.mark.parametrize(
    ("quantity", "levels", "stop"),
    [
        ("1", Levels(trailing=D("0.005")), "1.085"),
        ("-1", Levels(trailing=D("0.005")), "1.095"),
        ("1", Levels(trailing=D("0.005"), stop_loss=D("1.07")), "1.07"),
        ("-1", Levels(trailing=D("0.005"), stop_loss=D("1.12")), "1.12"),
        ("1", Levels(trailing=None, stop_loss=D("1.07")), "1.07"),
    ],
)
def test_a_stop_that_is_to_trail_protects_from_the_moment_of_the_fill(quantity: str, levels: Levels, stop: str) -> None:
    account, source = PerfectAccount(), Source()
    account.follow(one(source.rest("o1", "L", quantity, "1.09", levels)))
    assert [r.stop_loss for r in account.book.restings.values()] == [D(stop)]


@pytest.mark.parametrize(
    ("quantity", "price", "levels", "stop"),
    [
        ("1", "1.08", Levels(trailing=D("0.005")), "1.075"),
        ("-1", "1.1", Levels(trailing=D("0.005")), "1.105"),
        ("1", "1.09", Levels(trailing=D("0.005"), stop_loss=D("1.06")), "1.06"),
        ("-1", "1.09", Levels(trailing=D("0.005"), stop_loss=D("1.095")), "1.095"),
        ("-1", "1.09", Levels(trailing=D("0.005"), stop_loss=D("1.13")), "1.13"),
        ("1", "1.09", Levels(), "1.085"),
    ],
)
def test_the_stop_of_a_resting_order_goes_where_the_source_moves_it_since_it_does_not_trail_yet(
    quantity: str, price: str, levels: Levels, stop: str
) -> None:
    account, source = PerfectAccount(), Source()
    account.follow(one(source.rest("o1", "L", quantity, "1.09", Levels(trailing=D("0.005")))))
    account.follow(one(source.move("o1", "L", price, levels=levels)))
    assert [r.stop_loss for r in account.book.restings.values()] == [D(stop)]


def test_placing_seen_twice_places_once() -> None:
    account, source = PerfectAccount(), Source()
    fact = one(source.rest("o1", "L", "1"))
    account.follow(fact)
    again = account.follow(fact)
    assert isinstance(again, Ignore)
    assert again.reason is Ignored.ALREADY_THERE


def test_a_new_price_moves_our_order() -> None:
    account, source = PerfectAccount(), Source()
    resting(account, source)
    plan = account.follow(one(source.move("o1", "L", "1.085", levels=Levels(stop_loss=D("1.07")))))
    assert isinstance(plan, Plan)
    (step,) = plan.steps
    assert isinstance(step, Move)
    assert (step.price, step.stop_loss) == (D("1.08500"), D("1.07000"))


def test_a_new_quantity_replaces_our_order_because_mt5_cannot_change_it() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    plan = account.follow(one(source.move("o1", "L", "1.085", "2")))
    assert names(plan) == ["withdraw", "rest"]
    assert [r.volume for r in account.book.restings.values()] == [D(2)]
    assert account.book.links[link].pendings["L"].quantity == 2


def test_a_cancel_withdraws_our_order_and_leaves_nothing_behind() -> None:
    account, source = PerfectAccount(), Source()
    resting(account, source)
    assert names(account.follow(one(source.end("o1", "L")))) == ["withdraw"]
    assert not account.book.restings
    assert not account.book.links


def test_a_cancel_of_an_order_that_was_never_mirrored_is_ignored() -> None:
    account, source = PerfectAccount(), Source()
    source.rest("o1", "L", "1")
    plan = account.follow(one(source.end("o1", "L")))
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.NOTHING_HERE


def test_the_sources_fill_of_an_order_whose_mirror_filled_is_already_there() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.fill(link, "L")
    plan = account.follow(one(source.fill("o1", "L")))
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.ALREADY_THERE
    assert account.own(link) == 1


def test_a_mirror_that_has_not_filled_is_replaced_by_a_market_order() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    plan = account.follow(one(source.fill("o1", "L")))
    assert names(plan) == ["withdraw", "open"]
    assert not account.book.restings
    assert account.own(link) == 1


def test_a_mirror_that_filled_is_closed_when_the_sources_order_ends_unfilled() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.fill(link, "L")
    assert names(account.follow(one(source.end("o1", "L"))))[0].startswith("close:")
    assert account.net() == 0


def test_a_partial_fill_at_the_source_is_covered_by_our_resting_order() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    plan = account.follow(one(source.fill("o1", "L", "0.4")))
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.ORDER_COVERS
    account.fill(link, "L")
    account.follow(one(source.fill("o1", "L")))
    assert account.own(link) == 1


def test_an_order_that_ends_partly_filled_is_copied_to_its_final_filled_quantity() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.follow(one(source.fill("o1", "L", "0.4")))
    plan = account.follow(one(source.end("o1", "L")))
    assert names(plan) == ["withdraw", "open"]
    assert account.own(link) == D("0.4")


def test_a_mirror_that_filled_whole_is_cut_back_to_what_the_source_filled() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.fill(link, "L")
    account.follow(one(source.fill("o1", "L", "0.4")))
    account.follow(one(source.end("o1", "L")))
    assert account.own(link) == D("0.4")


@pytest.mark.parametrize(("filled", "left"), [("0.6", "0.6"), ("0.3", "0.3")])
def test_a_mirror_that_gave_more_than_the_order_was_made_smaller_to_is_cut_back(filled: str, left: str) -> None:
    """Ours filled one lot; the source's order is reduced to 0.6 and then fills, wholly or in part."""
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.fill(link, "L")
    account.follow(one(source.move("o1", "L", "1.09", "0.6")))
    account.follow(one(source.fill("o1", "L", filled)))
    if filled != "0.6":
        account.follow(one(source.end("o1", "L")))
    assert account.own(link) == D(left)


def test_a_mirror_that_gave_too_much_gives_less_when_the_order_grows_again() -> None:
    account, source = PerfectAccount(), Source()
    link = resting(account, source)
    account.fill(link, "L")
    for quantity in ("0.6", "2.5"):
        account.follow(one(source.move("o1", "L", "1.09", quantity)))
    assert [r.volume for r in account.book.restings.values()] == [D("1.5")]
    account.fill(link, "L")
    account.follow(one(source.fill("o1", "L")))
    assert account.own(link) == D("2.5")


def test_on_fill_waits_for_the_fill_and_keeps_the_levels_that_came_with_the_order() -> None:
    account = PerfectAccount(account=accounts.settings(pending_orders="on-fill"))
    source = Source()
    plan = account.follow(one(source.rest("o1", "L", "1", levels=Levels(stop_loss=D("1.05")))))
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.WAITS_FOR_FILL
    filled = account.follow(one(source.fill("o1", "L")))
    assert isinstance(filled, Plan)
    (step,) = filled.steps
    assert isinstance(step, Open)
    assert step.stop_loss == D("1.05000")


def test_a_netting_source_on_a_hedging_account_is_followed_on_fill_by_itself() -> None:
    account, source = PerfectAccount("hedging"), Source("netting")
    plan = account.follow(one(source.rest("EURUSD", "L", "1")))
    assert isinstance(plan, Ignore)
    assert plan.reason is Ignored.WAITS_FOR_FILL


def test_an_opposite_order_of_a_netting_source_is_mirrored_with_our_share() -> None:
    account = PerfectAccount("netting", accounts.settings(sizing=Sizing(factor=D("0.5"))))
    source = Source("netting")
    for fact in source.market("EURUSD", "2"):
        account.follow(fact)
    plan = account.follow(one(source.rest("EURUSD", "L", "-1", "1.2")))
    assert isinstance(plan, Plan)
    (step,) = plan.steps
    assert isinstance(step, Rest)
    assert (step.side, step.volume) == ("sell", D("0.50"))


def test_levels_of_a_resting_order_are_not_set_on_the_position_that_a_netting_source_has() -> None:
    account, source = PerfectAccount("netting"), Source("netting")
    for fact in source.market("EURUSD", "1", Levels(stop_loss=D("1.05"))):
        account.follow(fact)
    plan = account.follow(one(source.rest("EURUSD", "L", "1", "1.08", Levels(stop_loss=D("1.07")))))
    assert names(plan) == ["rest"]
    assert account.book.links[key("EURUSD")].levels.stop_loss == D("1.05")


def test_an_order_type_that_the_symbol_does_not_take_is_denied() -> None:
    account, source = PerfectAccount(rules=replace(EURUSD, order_mode=1)), Source()
    settled = account.settled(one(source.rest("o1", "L", "1")), {})
    assert (settled.result, settled.reason) == ("denied", Reason.ORDER_TYPE)


def test_a_placing_that_was_denied_leaves_no_link() -> None:
    account, source = PerfectAccount(), Source()
    settled = account.settled(one(source.rest("o1", "L", "1")), {"rest": Denied(Reason.TOO_OLD)})
    assert (settled.result, settled.link) == ("denied", None)


def test_a_withdrawal_that_is_refused_stays_owed_and_is_known_to_be_over() -> None:
    account, source = PerfectAccount(), Source()
    resting(account, source)
    settled = account.settled(one(source.end("o1", "L")), {"withdraw": Owed(Obstacle.FROZEN)})
    assert settled.result is None
    assert settled.debt is not None
    assert settled.link is not None
    (step,) = owed_steps(settled.link, settled.debt, account.book)
    assert isinstance(step, Withdraw)


def test_an_order_that_is_gone_here_already_is_no_refusal() -> None:
    account, source = PerfectAccount(), Source()
    resting(account, source)
    account.book = replace(account.book, restings={})
    settled = account.settled(one(source.end("o1", "L")), {"withdraw": Already()})
    assert (settled.result, settled.link) == ("ignored", None)


deeds = st.lists(
    st.tuples(
        st.sampled_from(["rest", "move", "grow", "part", "fill", "end", "ours", "market"]),
        st.integers(1, 20).map(lambda n: D(n) / 100),
        st.booleans(),
    ),
    max_size=14,
)


class Trader:
    """Acts on the oldest resting order; `ours` lets our mirror of it fill."""

    def __init__(self, model: Model, margin: Margin) -> None:
        self.account = PerfectAccount(margin, accounts.settings(sizing=Sizing(factor=D(5))))
        self.source = Source(model)
        self._live: dict[str, str] = {}
        self._placed = 0

    def act(self, deed: str, quantity: Decimal, *, buys: bool) -> None:
        """Do one thing; without a resting order, place one."""
        order = next(iter(self._live), None)
        size = quantity if buys else -quantity
        if order is None or deed == "rest":
            self._place(size)
        elif deed == "ours":
            self._fill_ours(order)
        elif deed == "market":
            if self.source.model == "netting":
                self._follow(self.source.market("EURUSD", size))
        else:
            self._change(deed, order, quantity)

    def end_all(self) -> None:
        """Cancel whatever still rests."""
        for order in list(self._live):
            self._follow(self.source.end(self._live.pop(order), order))

    def _place(self, size: Decimal) -> None:
        self._placed += 1
        name = f"L{self._placed}"
        self._live[name] = "EURUSD" if self.source.model == "netting" else name
        self._follow(self.source.rest(self._live[name], name, size))

    def _fill_ours(self, order: str) -> None:
        link = self.account.book.links.get(key(self._live[order]))
        pending = link.pendings.get(order) if link else None
        if pending is not None and pending.ticket in self.account.book.restings:
            self.account.fill(key(self._live[order]), order)

    def _change(self, deed: str, order: str, quantity: Decimal) -> None:
        position, known = self._live[order], self.source.orders[order]
        match deed:
            case "move":
                self._follow(self.source.move(position, order, "1.095"))
            case "grow":
                self._follow(self.source.move(position, order, "1.095", str(known.quantity + quantity)))
            case "part" if quantity < known.quantity - known.filled:
                self._follow(self.source.fill(position, order, quantity))
            case "fill" | "end":
                del self._live[order]
                how = self.source.fill if deed == "fill" else self.source.end
                self._follow(how(position, order))

    def _follow(self, facts: list[Fact]) -> None:
        for fact in facts:
            self.account.follow(fact)


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(story=deeds)
@settings(max_examples=200)
def test_when_every_order_is_over_the_account_has_what_the_source_filled(
    model: Model, margin: Margin, story: list[tuple[str, Decimal, bool]]
) -> None:
    trader = Trader(model, margin)
    for deed, quantity, buys in story:
        trader.act(deed, quantity, buys=buys)
    trader.end_all()
    account, source = trader.account, trader.source
    assert not account.book.restings
    for position in source.amounts:
        assert account.own(key(position)) == source.total(position) * 5
    assert account.net() == sum((link.own for link in account.book.links.values()), D(0))
