"""What trying a fact once more comes to: openings by what the source shows, the rest as it was told."""

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from executor import again
from executor.book import Link, Margin
from executor.present import Present
from executor.reasons import Ignored
from executor.steps import Close, Open, Protect, Reduce, Rest
from executor.translate import Ignore
from shared.facts import Fact, Levels, Model
from tests.executor.accounts import NOW, PerfectAccount, book, settings
from tests.executor.sources import Source, key

D = Decimal
LATER = NOW + timedelta(hours=1)
O1 = key("o1")


def facts(model: Model = "hedging") -> dict[str, Fact]:
    """One fact of each kind that matters here."""
    source = Source(model)
    opened = source.market("o1", "1")
    return {
        "opened": opened[0],
        "more": source.market("o1", "1")[0],
        "less": source.close("o1", "0.5")[0] if model == "hedging" else source.market("o1", "-0.5")[0],
        "levels": source.levels("o1", Levels(stop_loss=D(1)))[0],
        "rest": source.rest("o1", "L", "1")[0],
        "move": source.move("o1", "L", "1.01")[0],
        "end": source.end("o1", "L")[0],
        "turned": source.market("o1", "-5")[0],
        "closed": source.close("o1")[0],
    }


OPENS = {"opened", "more", "turned", "rest", "move"}


@pytest.mark.parametrize(("model", "margin"), [("hedging", "hedging"), ("hedging", "netting"), ("netting", "netting")])
def test_what_raises_or_turns_a_total_opens_and_so_does_a_resting_order(model: Model, margin: Margin) -> None:
    assert {name for name, fact in facts(model).items() if again.reopens(fact, settings(), margin)} == OPENS


def test_a_resting_order_that_is_followed_on_fill_opens_nothing() -> None:
    assert not again.reopens(facts("netting")["rest"], settings(), "hedging")


def test_a_close_is_followed_by_totals_whatever_the_source_shows_now() -> None:
    source, account = Source(), PerfectAccount()
    for fact in source.market("o1", "1"):
        account.follow(fact)
    less = source.close("o1", "0.4")[0]
    plan = again.now(less, (), (), account.book, account.account, LATER)
    assert isinstance(plan, Present)
    assert plan.fact == less
    assert [type(s) for s in plan.plan.steps] == [Reduce]
    account.follow(source.close("o1")[0])
    late = again.now(less, (), (), account.book, account.account, LATER)
    assert isinstance(late, Ignore)


def test_levels_that_were_refused_are_set_as_they_are_wanted_now() -> None:
    source, account = Source(), PerfectAccount()
    for fact in source.market("o1", "1"):
        account.follow(fact)
    refused = source.levels("o1", Levels(stop_loss=D(1)))[0]
    link = replace(account.book.links[O1], levels=refused.levels, revision=refused.exposure.revision)
    account.book = replace(account.book, links={O1: link})
    plan = again.now(refused, (), (), account.book, account.account, LATER)
    assert isinstance(plan, Present)
    assert [s.stop_loss for s in plan.plan.steps if isinstance(s, Protect)] == [D("1.00000")]
    shown = {t: replace(h, stop_loss=D(1)) for t, h in account.book.holdings.items()}
    done = again.now(refused, (), (), replace(account.book, holdings=shown), account.account, LATER)
    assert isinstance(done, Ignore)
    assert done.reason is Ignored.ALREADY_THERE


def test_an_opening_looks_for_its_own_position_and_its_own_order() -> None:
    source = Source()
    first, second = source.market("o1", "1"), source.market("o2", "2")
    placed, other = source.rest("o3", "L", "1")[0], source.rest("o3", "M", "2")[0]
    shown = (first[-1], second[-1])
    plan = again.now(second[0], shown, shown, book(), settings(), LATER)
    assert isinstance(plan, Present)
    assert [s.volume for s in plan.plan.steps if isinstance(s, Open)] == [D("2.00")]
    resting = again.now(placed, (), (other, placed), book(), settings(), LATER)
    assert isinstance(resting, Present)
    assert [s.order for s in resting.plan.steps if isinstance(s, Rest)] == ["L"]
    gone = again.now(first[0], (second[-1],), (second[-1],), book(), settings(), LATER)
    assert isinstance(gone, Ignore)


def test_what_may_have_been_sent_is_sought_as_it_was_planned() -> None:
    source = Source()
    told, newest = source.market("o1", "1")
    sent = again.now(told, (newest,), (newest,), book(), settings(), LATER)
    assert isinstance(sent, Present)
    plan = again.sought(sent.fact, book(), settings())
    assert plan == sent.plan


def test_what_was_sent_before_newer_facts_is_sought_by_a_step_that_is_never_sent() -> None:
    """Its link is newer by now: what is found is laid into that one, by the total that it was sent for."""
    source, account = Source(), PerfectAccount()
    sent = source.market("o1", "1")[-1]
    link = replace(account.book.links.get(O1) or fresh(), revision=9, followed=D(0))
    there = replace(account.book, links={O1: link})
    plan = again.sought(sent, there, account.account)
    (step,) = plan.steps
    assert isinstance(step, Open)
    assert (step.name, step.side, step.volume) == ("open", "buy", D(0))
    assert (plan.link.followed, plan.link.revision, plan.link.parts) == (D(1), sent.exposure.revision, ())


def test_a_resting_order_that_may_have_been_sent_is_sought_too() -> None:
    placed = Source().rest("o1", "L", "1")[0]
    (step,) = again.sought(placed, book(), settings()).steps
    assert isinstance(step, Rest)
    assert step.volume == D("1.00")
    unmapped = replace(placed, instrument="NOSUCH")
    (bare,) = again.sought(unmapped, book(), settings()).steps
    assert isinstance(bare, Rest)


def fresh() -> Link:
    return Link(key=O1, instrument="EURUSD", symbol="EURUSD")


def test_a_whole_close_of_what_is_ours_is_done_by_totals() -> None:
    source, account = Source(), PerfectAccount()
    for fact in source.market("o1", "1"):
        account.follow(fact)
    plan = again.now(source.close("o1")[0], (), (), account.book, account.account, LATER)
    assert isinstance(plan, Present)
    assert [type(s) for s in plan.plan.steps] == [Close]
