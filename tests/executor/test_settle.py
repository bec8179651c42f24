"""What is remembered, owed and told after steps that were done, refused, or done in part."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Debt, Link, Margin, Part
from executor.reasons import Denied, Ignored, Obstacle, Reason
from executor.results import Already, Done, Owed, Rejected, Result, Skipped, StepResult
from executor.settings import Sizing
from executor.settle import Settled, settle, settle_debt
from executor.steps import Close, Open, Protect, Reduce
from executor.translate import Ignore, Plan, bare, owed_steps, protect_after, translate
from shared.facts import Fact, Levels, Model
from tests.executor import accounts
from tests.executor.accounts import PerfectAccount
from tests.executor.sources import NO_LEVELS, Source, key
from tests.executor.test_follow import COMBINATIONS, actions, story

D = Decimal
REFUSED = Rejected(10019, Obstacle.NO_MONEY, "There is not enough money to complete the request")
CLOSED = Owed(Obstacle.MARKET_CLOSED, 10018, "Market is closed")


def opened(
    quantity: str = "1", margin: Margin = "hedging", levels: Levels = NO_LEVELS
) -> tuple[PerfectAccount, Source]:
    """An account that follows one open position of 1 lot."""
    account, source = PerfectAccount(margin), Source()
    for fact in source.market("o1", quantity, levels):
        account.follow(fact)
    return account, source


def first(facts: list[Fact]) -> Fact:
    return facts[0]


def test_an_opening_gives_a_part_with_its_ticket_volume_and_mark() -> None:
    account, source = PerfectAccount(), Source()
    done = Done(ticket=9, identifier=9, volume=D("0.5"), mark=77)
    settled = account.settled(first(source.accepted("o1", "0.5")), {"open": done})
    assert settled.result == "filled"
    assert settled.link is not None
    assert settled.link.parts == (Part(ticket=9, identifier=9, volume=D("0.5"), side="buy", mark=77),)


def test_an_opening_that_filled_in_part_is_not_chased_and_says_so() -> None:
    account, source = PerfectAccount(), Source()
    settled = account.settled(first(source.accepted("o1", "1")), {"open": Done(ticket=9, volume=D("0.3"))})
    assert (settled.result, settled.reason) == ("filled", Obstacle.PARTLY_DONE)
    assert "0.3 of 1 lots" in settled.text
    assert isinstance(translate(first(source.filled("o1")), account.book, account.account), Ignore)


@pytest.mark.parametrize(
    ("result", "ends"),
    [
        (Denied(Reason.TOO_OLD, {"age": "12", "limit": "10"}), ("denied", Reason.TOO_OLD)),
        (REFUSED, ("rejected", Obstacle.NO_MONEY)),
        (Skipped(shadow=True), ("ignored", Ignored.SHADOW)),
    ],
)
def test_an_opening_that_was_not_done_leaves_nothing_and_ends_with_its_reason(
    result: Result, ends: tuple[str, str]
) -> None:
    account, source = PerfectAccount(), Source()
    settled = account.settled(first(source.accepted("o1", "1")), {"open": result})
    assert (settled.result, settled.reason) == ends
    assert settled.link is None
    assert settled.text


def test_an_opening_that_was_refused_leaves_no_remainder_of_its_rounding() -> None:
    account = PerfectAccount(account=accounts.settings(sizing=Sizing(factor=D("0.37"))))
    settled = account.settled(first(Source().accepted("o1", "0.05")), {"open": Denied(Reason.TOO_OLD)})
    assert settled.link is None


def test_what_was_denied_is_let_go_and_the_next_increase_opens_its_own_size() -> None:
    account, source = PerfectAccount("netting"), Source("netting")
    account.settled(first(source.accepted("EURUSD", "1")), {"open": Denied(Reason.TOO_OLD)})
    plan = account.follow(first(source.market("EURUSD", "0.5")))
    assert isinstance(plan, Plan)
    assert [s.volume for s in plan.steps if isinstance(s, Open)] == [D("0.50")]


def test_an_increase_that_was_denied_makes_later_closes_shares_of_the_whole() -> None:
    account, source = PerfectAccount("netting"), Source("netting")
    for fact in source.market("EURUSD", "1"):
        account.follow(fact)
    account.settled(first(source.accepted("EURUSD", "1")), {"open": Denied(Reason.SPREAD)})
    for fact in [*source.filled("EURUSD"), *source.market("EURUSD", "-1")]:
        account.follow(fact)
    assert account.own(key("EURUSD")) == D("0.5")


def test_an_exit_that_is_refused_is_owed_down_to_its_target() -> None:
    account, source = opened()
    settled = account.settled(first(source.close("o1", "0.4")), {"reduce:1001": CLOSED})
    assert settled.result is None
    assert settled.debt is not None
    assert (settled.debt.target, settled.debt.fact, settled.debt.reason) == (D("0.60"), "s/1/3", "market-closed")
    assert settled.link is not None
    assert settled.link.own == 1


def test_an_exit_that_was_done_in_part_owes_the_rest() -> None:
    account, source = opened()
    settled = account.settled(first(source.close("o1")), {"close:1001": Done(ticket=2, volume=D("0.7"))})
    assert settled.debt is not None
    assert settled.debt.target == 0
    assert settled.link is not None
    assert settled.link.own == D("0.3")


def test_an_exit_is_owed_even_when_mt5_refuses_it_for_good() -> None:
    account, source = opened()
    refused = Rejected(10013, Obstacle.INVALID_REQUEST, "Invalid request")
    settled = account.settled(first(source.close("o1")), {"close:1001": refused})
    assert settled.result is None


def test_levels_that_were_owed_until_newer_ones_were_set_have_closed_nothing() -> None:
    part = Part(ticket=1, identifier=1, volume=D(1), side="buy")
    link = Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=(part,), followed=D(1), revision=3)
    debt = Debt(link="k", fact="f", entry="", target=D(1), since=accounts.NOW, captured=accounts.NOW)
    assert settle_debt(link, debt, [], accounts.book()).result == "modified"
    assert settle_debt(link, replace(debt, attempts=1), [], accounts.book()).result == "closed"


def test_a_debt_ends_closed_and_forgets_the_link_when_it_is_paid() -> None:
    account, source = opened()
    settled = account.settled(first(source.close("o1")), {"close:1001": CLOSED})
    assert settled.debt is not None
    assert settled.link is not None
    results = [StepResult(s, account.take(s)) for s in owed_steps(settled.link, settled.debt, account.book)]
    paid = settle_debt(settled.link, settled.debt, results, account.book)
    assert (paid.result, paid.debt, paid.link) == ("closed", None, None)
    assert account.net() == 0


def test_a_debt_that_was_paid_in_part_keeps_its_target() -> None:
    account, source = opened()
    settled = account.settled(first(source.close("o1")), {"close:1001": CLOSED})
    assert settled.debt is not None
    assert settled.link is not None
    (step,) = owed_steps(settled.link, settled.debt, account.book)
    paid = settle_debt(settled.link, settled.debt, [StepResult(step, Done(ticket=2, volume=D("0.2")))], account.book)
    assert paid.result is None
    assert paid.debt is not None
    assert paid.debt.target == 0
    assert paid.link is not None
    assert paid.link.own == D("0.8")


def test_steps_of_a_debts_later_tries_take_off_the_part_that_their_name_says() -> None:
    parts = (
        Part(ticket=1, identifier=1, volume=D(1), side="buy"),
        Part(ticket=2, identifier=2, volume=D(1), side="buy"),
    )
    link = Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=parts, followed=D(1))
    step = Close(name="close:2/3", link="k", ticket=2, symbol="EURUSD", side="buy", volume=D(1))
    debt = Debt(link="k", fact="f", entry="", target=D(1), since=accounts.NOW, captured=accounts.NOW)
    assert settle_debt(link, debt, [StepResult(step, Done(ticket=5))], accounts.book()).link == replace(
        link, parts=parts[:1]
    )


TOO_LITTLE = Owed(Obstacle.INVALID_VOLUME, 10014, "Invalid volume")
LEAST = replace(accounts.EURUSD, volume_min=D("0.2"))


@pytest.mark.parametrize(
    ("volume", "attempts", "result"),
    [("0.1", 0, "rejected"), ("0.1", 1, "closed"), ("0.3", 0, None)],
    ids=["nothing could be closed", "the last of it", "the volume is refused for another cause"],
)
def test_what_the_broker_takes_in_no_order_is_owed_no_longer(volume: str, attempts: int, result: str | None) -> None:
    """It is on a netting account beside somebody else's; what is left is said, and ours no more."""
    part = Part(ticket=1, identifier=1, volume=D(volume), side="buy")
    link = Link(key="k", instrument="EURUSD", symbol="EURUSD", parts=(part,), revision=2)
    book = replace(accounts.book("netting", links=[link], rules=LEAST), holdings={1: accounts.holding(1, volume="5")})
    debt = Debt(link="k", fact="f", entry="", target=D(0), since=accounts.NOW, captured=accounts.NOW, attempts=attempts)
    (step,) = owed_steps(link, debt, book)

    ended = settle_debt(link, debt, [StepResult(step, TOO_LITTLE)], book)

    assert ended.result == result
    assert (ended.link, ended.debt) == ((None, None) if result else (link, replace(debt, reason="invalid-volume")))
    assert ended.untraded == 0
    assert (f"{volume} lots of EURUSD stay open: the broker takes no order below 0.2" in ended.text) is bool(result)


def test_a_stop_that_cannot_be_set_is_owed_and_does_not_close_what_was_opened() -> None:
    account, source = PerfectAccount(), Source()
    fact = first(source.accepted("o1", "1", Levels(stop_loss=D("1.05"))))
    plan = translate(fact, account.book, account.account)
    assert isinstance(plan, Plan)
    (step,) = plan.steps
    assert isinstance(step, Open)
    assert bare(step) == replace(step, stop_loss=None)
    done = account.take(bare(step))
    assert isinstance(done, Done)
    later = protect_after(step, done)
    settled = settle(fact, plan, [StepResult(step, done), StepResult(later, Owed(Obstacle.INVALID_STOPS, 10016))])
    assert settled.result is None
    assert settled.debt is not None
    assert settled.debt.target == 1
    assert settled.link is not None
    (again,) = owed_steps(settled.link, settled.debt, account.book)
    assert isinstance(again, Protect)
    assert again.stop_loss == D("1.05000")
    account.take(again)
    paid = settle_debt(settled.link, settled.debt, [StepResult(again, Done(ticket=1))], account.book)
    assert (paid.result, paid.link) == ("modified", settled.link)


def test_a_reversal_whose_close_is_owed_opens_nothing_and_owes_the_close() -> None:
    account, source = PerfectAccount(), Source("netting")
    for fact in source.market("EURUSD", "1"):
        account.follow(fact)
    results: dict[str, Result] = {"close:1001": CLOSED, "open": Denied(Reason.EXIT_OWED)}
    settled = account.settled(first(source.accepted("EURUSD", "-2")), results)
    assert settled.debt is not None
    assert settled.debt.target == 0


def test_a_fact_that_closes_and_is_denied_the_opening_ends_closed_with_the_reason() -> None:
    account, source = PerfectAccount(), Source("netting")
    for fact in source.market("EURUSD", "1"):
        account.follow(fact)
    settled = account.settled(first(source.accepted("EURUSD", "-2")), {"open": Denied(Reason.TOO_OLD)})
    assert (settled.result, settled.reason) == ("closed", Reason.TOO_OLD)
    assert account.net() == 0


def test_a_close_of_what_is_gone_is_ignored_as_closed_here() -> None:
    account, source = opened()
    settled = account.settled(first(source.close("o1")), {"close:1001": Already()})
    assert (settled.result, settled.reason, settled.link) == ("ignored", Ignored.CLOSED_HERE, None)


@pytest.mark.parametrize(
    ("deed", "result"), [("rest", "accepted"), ("move", "modified"), ("end", "canceled"), ("levels", "modified")]
)
def test_results_are_named_by_their_strongest_effect(deed: str, result: str) -> None:
    account, source = opened()
    account.follow(first(source.rest("o2", "L", "1")))
    facts = {
        "rest": lambda: source.rest("o3", "K", "1"),
        "move": lambda: source.move("o2", "L", "1.07"),
        "end": lambda: source.end("o2", "L"),
        "levels": lambda: source.levels("o1", Levels(take_profit=D("1.3"))),
    }
    assert account.settled(first(facts[deed]()), {}).result == result


RESULTS = st.sampled_from(["done", "denied", "rejected", "part"])


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(data=st.data(), deeds=actions)
@settings(max_examples=120)
def test_whatever_is_refused_the_links_say_what_the_account_has_and_a_close_closes_it(
    model: Model, margin: Margin, data: st.DataObject, deeds: list[tuple[str, int, Decimal]]
) -> None:
    account = PerfectAccount(margin, accounts.settings(sizing=Sizing(factor=D(2))))
    for fact in story(model, deeds):
        plan = translate(fact, account.book, account.account)
        if isinstance(plan, Ignore):
            account.follow(fact)
            continue
        results: list[StepResult] = []
        for step in plan.steps:
            blocked = isinstance(step, Open) and any(isinstance(r.result, Owed | Rejected) for r in results)
            refused = Denied(Reason.EXIT_OWED)
            results.append(StepResult(step, refused if blocked else unlucky(account, step, data.draw(RESULTS))))
        settled = settle(fact, plan, results)
        link = paid(account, settled)
        account.remember(fact, link)
        assert fact.exposure.after.total != 0 or account.own(key(fact.exposure.position)) == 0
        if margin == "hedging" or model == "netting":
            assert account.net() == sum((x.own for x in account.book.links.values()), D(0))


def paid(account: PerfectAccount, settled: Settled) -> Link | None:
    """Pay what is owed; where the position turns out smaller than ours, the second try finds nothing left of it."""
    for _ in range(2):
        if settled.debt is not None and settled.link is not None:
            steps = owed_steps(settled.link, settled.debt, account.book)
            settled = settle_debt(
                settled.link, settled.debt, [StepResult(s, account.take(s)) for s in steps], account.book
            )
    assert settled.debt is None
    return settled.link


def unlucky(account: PerfectAccount, step: object, luck: str) -> Result:
    """Take a step, or have it refused, or have an opening filled and an exit done by one hundredth only."""
    assert isinstance(step, Open | Close | Reduce)
    if luck == "part" and step.volume > D("0.01"):
        return account.take(hundredth(step))
    if luck in {"done", "part"}:
        return account.take(step)
    if isinstance(step, Open):
        return Denied(Reason.SPREAD) if luck == "denied" else REFUSED
    return CLOSED


def hundredth(step: Open | Close | Reduce) -> Open | Reduce:
    """The same step for 0.01 lots only."""
    if not isinstance(step, Close):
        return replace(step, volume=D("0.01"))
    return Reduce(
        name=step.name,
        link=step.link,
        ticket=step.ticket,
        symbol=step.symbol,
        side=step.side,
        volume=D("0.01"),
        floor=D(0),
    )
