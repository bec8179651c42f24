"""What a fact asks of an account, case by case; random stories are in test_follow and test_mirror."""

from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor.book import Debt
from executor.reasons import Denied, Ignored, Reason
from executor.settings import Sizing, Symbols
from executor.steps import Close, Open, Protect, Reduce
from executor.translate import Ignore, Plan, owed_steps, target_steps, translate, withdraw_steps
from shared.facts import Amount, Exposure, Fact, Levels, PositionOpened, Quote
from tests.executor import accounts
from tests.executor.accounts import EURUSD, PerfectAccount, holding
from tests.executor.sources import Source, key

D = Decimal
STOPS = Levels(stop_loss=D("1.05"), take_profit=D("1.2"))


def following(*facts: Fact, account: PerfectAccount | None = None) -> PerfectAccount:
    account = account or PerfectAccount()
    for fact in facts:
        account.follow(fact)
    return account


def plan(account: PerfectAccount, fact: Fact) -> Plan:
    made = translate(fact, account.book, account.account)
    assert isinstance(made, Plan), made
    return made


def ignored(account: PerfectAccount, fact: Fact) -> Ignore:
    made = translate(fact, account.book, account.account)
    assert isinstance(made, Ignore), made
    return made


def names(made: Plan) -> list[str]:
    return [step.name for step in made.steps]


def test_an_accepted_market_order_opens_with_its_levels_and_the_sources_price() -> None:
    (step,) = plan(PerfectAccount(), Source().accepted("o1", "0.5", STOPS)[0]).steps
    assert step == Open(
        name="open",
        link=key("o1"),
        symbol="EURUSD",
        side="buy",
        volume=D("0.50"),
        stop_loss=D("1.05000"),
        take_profit=D("1.20000"),
        reference=D("1.1"),
    )


def test_without_a_price_the_trading_side_of_the_quote_is_the_reference() -> None:
    fact = replace(Source().accepted("o1", "-1")[0], price=None, quote=Quote(bid=D("1.2"), ask=D("1.3")))
    (step,) = plan(PerfectAccount(), fact).steps
    assert isinstance(step, Open)
    assert step.reference == D("1.2")


def test_act_on_fill_waits_and_then_opens_with_the_levels_that_came_before() -> None:
    account = PerfectAccount(account=accounts.settings(act_on="fill"))
    accepted, filled = Source().market("o1", "1", STOPS)
    assert ignored(account, accepted).reason is Ignored.WAITS_FOR_FILL
    account.follow(accepted)
    (step,) = plan(account, filled).steps
    assert isinstance(step, Open)
    assert step.stop_loss == D("1.05000")


def test_a_rejection_after_acceptance_closes_what_was_opened() -> None:
    source = Source()
    account = following(*source.accepted("o1", "1"))
    assert names(plan(account, source.rejected("o1")[0])) == ["close:1001"]


def test_a_position_that_only_polls_show_is_opened_from_its_totals() -> None:
    header = Source().accepted("o1", "1")[0]
    fact = PositionOpened(
        **{
            name: getattr(header, name)
            for name in ("id", "source", "account", "instrument", "model", "producer", "seq")
        },
        captured=header.captured,
        contract=header.contract,
        exposure=Exposure(position="p9", revision=1, before=Amount(), after=Amount(held=D(-2))),
    )
    (step,) = plan(PerfectAccount(), fact).steps
    assert isinstance(step, Open)
    assert (step.side, step.volume) == ("sell", D("2.00"))


def test_without_a_link_a_close_is_ignored_and_an_increase_opens_only_the_difference() -> None:
    source = Source("netting")
    source.market("EURUSD", "2")
    increase = source.market("EURUSD", "0.5")[0]
    (step,) = plan(PerfectAccount(), increase).steps
    assert isinstance(step, Open)
    assert step.volume == D("0.50")
    decrease = source.market("EURUSD", "-1")[0]
    assert ignored(PerfectAccount(), decrease).reason is Ignored.NOTHING_HERE


def test_without_a_link_a_reversal_opens_the_new_side() -> None:
    source = Source("netting")
    source.market("EURUSD", "2")
    (step,) = plan(PerfectAccount(), source.market("EURUSD", "-3")[0]).steps
    assert isinstance(step, Open)
    assert (step.side, step.volume) == ("sell", D("1.00"))


def test_an_older_revision_than_was_followed_is_superseded() -> None:
    source = Source("netting")
    first = source.market("EURUSD", "1")[0]
    account = following(first, *source.market("EURUSD", "-0.5"))
    assert ignored(account, first).reason is Ignored.SUPERSEDED


def test_a_reversal_closes_all_and_then_opens() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1"), *source.market("EURUSD", "0.5"))
    made = plan(account, source.market("EURUSD", "-2")[0])
    assert [type(s) for s in made.steps] == [Close, Close, Open]
    assert made.reduced == 0


def test_a_reversal_does_not_inherit_the_levels_of_what_it_closed() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1", STOPS))
    opening = plan(account, source.market("EURUSD", "-2")[0]).steps[-1]
    assert isinstance(opening, Open)
    assert (opening.stop_loss, opening.take_profit) == (None, None)


@pytest.mark.parametrize("act_on", ["accept", "fill"])
def test_the_brackets_of_an_order_that_only_reduces_are_not_those_of_the_rest(act_on: str) -> None:
    """The stop of a sale is above the price: it protects nothing of the purchase that stays."""
    source = Source("netting")
    account = PerfectAccount(account=accounts.settings(act_on=act_on))
    for fact in source.market("EURUSD", "2", STOPS):
        account.follow(fact)
    kept = account.book.links["s/1/EURUSD"].levels
    for fact in source.market("EURUSD", "-0.5", Levels(stop_loss=D("1.2"), take_profit=D("1.0"))):
        made = translate(fact, account.book, account.account)
        assert not isinstance(made, Plan) or {type(step) for step in made.steps} <= {Close, Reduce}
        account.follow(fact)
    assert account.book.links["s/1/EURUSD"].levels == kept


def test_a_reversal_that_is_rejected_leaves_no_level_of_it_on_what_is_opened_again() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "-1"), *source.accepted("EURUSD", "3", STOPS))
    opening = plan(account, source.rejected("EURUSD")[0]).steps[-1]
    assert isinstance(opening, Open)
    assert (opening.side, opening.stop_loss, opening.take_profit) == ("sell", None, None)


def test_a_change_of_levels_alone_sets_them_on_every_position_that_stays() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1", STOPS), *source.market("EURUSD", "1"))
    steps = plan(account, source.levels("EURUSD", Levels(stop_loss=D("1.06")))[0]).steps
    assert [type(s) for s in steps] == [Protect, Protect]
    assert {(s.stop_loss, s.take_profit) for s in steps if isinstance(s, Protect)} == {(D("1.06"), D("1.2"))}


def test_levels_that_are_not_known_to_have_changed_need_nothing() -> None:
    source = Source()
    account = following(*source.market("o1", "1", STOPS))
    assert ignored(account, source.levels("o1", Levels())[0]).reason is Ignored.ALREADY_THERE


def test_levels_of_a_shared_netting_position_are_left_alone_and_that_is_said() -> None:
    source = Source()
    account = following(*source.market("o1", "1"), *source.market("o2", "1"), account=PerfectAccount("netting"))
    assert ignored(account, source.levels("o1", STOPS)[0]).reason is Ignored.LEVELS_LEFT_ALONE
    made = plan(account, source.market("o3", "1", STOPS)[0])
    (step,) = made.steps
    assert isinstance(step, Open)
    assert step.stop_loss is None
    assert made.note


def test_opening_against_foreign_volume_on_a_netting_account_is_denied() -> None:
    account = PerfectAccount("netting")
    account.book = replace(account.book, holdings={5: holding(5, "sell", "1")})
    made = plan(account, Source().accepted("o1", "1")[0])
    assert made.steps == ()
    assert made.denied == Denied(Reason.FOREIGN_POSITION, {"symbol": "EURUSD"})


def test_an_unmapped_instrument_is_denied_when_it_opens_and_ignored_when_it_closes() -> None:
    account = PerfectAccount(account=accounts.settings(symbols=Symbols(suffix=".x")))
    source = Source()
    opening = plan(account, source.market("o1", "1")[0])
    assert opening.denied == Denied(Reason.UNMAPPED_SYMBOL, {"instrument": "EURUSD"})
    assert ignored(account, source.close("o1")[0]).reason is Ignored.NOTHING_HERE
    assert plan(account, source.rest("o2", "L", "1")[0]).denied == opening.denied


def test_a_symbol_whose_rules_are_unknown_opens_nothing_and_still_closes() -> None:
    source = Source()
    account = following(*source.market("o1", "1"))
    account.book = replace(account.book, specifications={})
    assert names(plan(account, source.close("o1")[0])) == ["close:1001"]
    denied = plan(account, source.market("o2", "1")[0]).denied
    assert denied is not None
    assert denied.reason is Reason.NO_SPECIFICATION


def test_a_size_below_the_minimum_is_denied_and_carried_until_it_makes_a_step() -> None:
    account = PerfectAccount(account=accounts.settings(sizing=Sizing(factor=D("0.1"))))
    source = Source("netting")
    settled = account.settled(source.market("EURUSD", "0.06")[0], {})
    assert (settled.result, settled.reason) == ("denied", Reason.SIZE_BELOW_MINIMUM)
    (step,) = plan(account, source.market("EURUSD", "0.06")[0]).steps
    assert isinstance(step, Open)
    assert step.volume == D("0.01")


def test_an_increase_of_less_than_a_step_is_carried() -> None:
    account = PerfectAccount(account=accounts.settings(sizing=Sizing(factor=D("0.1"))))
    source = Source("netting")
    following(*source.market("EURUSD", "1"), account=account)
    small = source.market("EURUSD", "0.06")
    assert ignored(account, small[0]).reason is Ignored.ROUNDED
    following(*small, account=account)
    (step,) = plan(account, source.market("EURUSD", "0.04")[0]).steps
    assert isinstance(step, Open)
    assert step.volume == D("0.01")


def test_the_second_part_close_takes_its_share_of_what_is_left() -> None:
    account = PerfectAccount(account=accounts.settings(sizing=Sizing(factor=D("0.3"))))
    source = Source()
    following(*source.market("o1", "1"), account=account)
    volumes = []
    for _ in range(3):
        accepted, filled = source.close("o1", "0.25")
        volumes += [s.volume for s in plan(account, accepted).steps if isinstance(s, Reduce)]
        following(accepted, filled, account=account)
    assert volumes == [D("0.07"), D("0.08"), D("0.07")]
    assert names(plan(account, source.close("o1")[0])) == ["close:1001"]


def test_a_position_closed_by_hand_stays_closed_until_the_source_closes_it_too() -> None:
    source = Source()
    account = following(*source.market("o1", "1"))
    link = replace(account.book.links[key("o1")], parts=(), tombstone=True)
    account.book = replace(account.book, links={key("o1"): link}, holdings={})
    assert ignored(account, source.levels("o1", STOPS)[0]).reason is Ignored.CLOSED_HERE
    over = ignored(account, source.close("o1")[0])
    assert (over.reason, over.link) == (Ignored.CLOSED_HERE, None)


def test_a_netting_source_that_turns_after_a_hand_close_is_followed_again() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1"))
    link = replace(account.book.links[key("EURUSD")], parts=(), tombstone=True)
    account.book = replace(account.book, links={key("EURUSD"): link}, holdings={})
    (step,) = plan(account, source.market("EURUSD", "-3")[0]).steps
    assert isinstance(step, Open)
    assert (step.side, step.volume) == ("sell", D("2.00"))


def test_offset_stops_keep_their_distance_also_when_only_levels_change() -> None:
    account = PerfectAccount(account=accounts.settings(stops="offset"))
    source = Source(price="1.2")
    opening = source.market("o1", "1", Levels(stop_loss=D("1.19")))
    (step,) = plan(account, opening[0]).steps
    assert isinstance(step, Open)
    assert step.stop_loss == D("1.09001")
    following(*opening, account=account)
    (moved,) = plan(account, source.levels("o1", Levels(stop_loss=D("1.195")))[0]).steps
    assert isinstance(moved, Protect)
    assert moved.stop_loss == D("1.09501")


@pytest.mark.parametrize(("target", "expected"), [("0", ["close:1001"]), ("0.25", ["reduce:1001"]), ("1", [])])
def test_target_steps_only_reduce(target: str, expected: list[str]) -> None:
    account = following(*Source().market("o1", "1"))
    steps = target_steps(account.book.links[key("o1")], D(target), account.book)
    assert [s.name for s in steps] == expected


def test_flattening_withdraws_every_resting_order() -> None:
    source = Source("netting")
    account = PerfectAccount("netting")
    following(*source.rest("EURUSD", "A", "1"), *source.rest("EURUSD", "B", "1"), account=account)
    link = account.book.links[key("EURUSD")]
    assert [s.name for s in withdraw_steps(link)] == ["withdraw:A", "withdraw:B"]
    assert withdraw_steps(link, only_over=True) == ()


def test_a_volume_above_the_symbols_maximum_is_denied() -> None:
    account = PerfectAccount(rules=replace(EURUSD, volume_max=D(1)))
    denied = plan(account, Source().accepted("o1", "2")[0]).denied
    assert denied is not None
    assert denied.reason is Reason.SIZE_ABOVE_MAXIMUM


def test_names_are_the_same_after_a_part_of_the_plan_was_carried_out() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1"))
    fact = source.market("EURUSD", "-2")[0]
    before = plan(account, fact)
    account.take(before.steps[0])
    assert names(plan(account, fact)) == names(before)


def test_what_is_owed_names_levels_only_of_positions_that_stay() -> None:
    source = Source("netting")
    account = following(*source.market("EURUSD", "1", STOPS), *source.market("EURUSD", "1"))
    link = account.book.links[key("EURUSD")]
    stripped = {t: replace(h, stop_loss=None) for t, h in account.book.holdings.items()}
    account.book = replace(account.book, holdings=stripped)
    debt = Debt(link=link.key, fact="f", entry="", target=D(1), since=accounts.NOW, captured=accounts.NOW)
    assert [type(s) for s in owed_steps(link, debt, account.book)] == [Close, Protect]


def test_a_reversal_that_cannot_be_sized_still_closes_what_is_there() -> None:
    account = PerfectAccount(account=accounts.settings(sizing=Sizing(mode="risk-percent")))
    source = Source("netting")
    following(*source.market("EURUSD", "1", STOPS), account=account)
    made = plan(account, source.market("EURUSD", "-2")[0])
    assert [type(s) for s in made.steps] == [Close]
    assert made.denied == Denied(Reason.NO_STOP_LOSS)
