"""Random stories of a source, on all four combinations of hedging and netting, against a model of ten lines."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Link, Margin, Part, Specification
from executor.follow import linked
from executor.settings import Sizing, Symbols
from shared.facts import Fact, Levels, Model
from tests.executor import accounts
from tests.executor.accounts import EURUSD, PerfectAccount
from tests.executor.sources import Source, key

D = Decimal
COMBINATIONS = [(model, margin) for model in ("hedging", "netting") for margin in ("hedging", "netting")]
RULES = [
    EURUSD,
    replace(EURUSD, volume_min=D("0.1")),
    replace(EURUSD, volume_min=D(1), volume_step=D(1)),
    replace(EURUSD, volume_min=D("0.001"), volume_step=D("0.001")),
]

quantities = st.decimals(D("0.01"), D(3), places=2)
factors = st.sampled_from([D(1), D("0.1"), D("0.37"), D(2), D(5)])
actions = st.lists(
    st.tuples(st.sampled_from(["add", "less", "close", "turn", "reject"]), st.integers(0, 2), quantities), max_size=10
)


def story(model: Model, deeds: list[tuple[str, int, Decimal]]) -> list[Fact]:
    """The facts of a trader who opens, adds, closes in part and whole, reverses and is rejected."""
    source, facts, opened = Source(model), [], 0
    positions = ["EURUSD"] if model == "netting" else []
    for deed, which, quantity in deeds:
        position = positions[which % len(positions)] if positions else ""
        total = source.total(position)
        sign = -1 if total < 0 or (total == 0 and which == 1) else 1
        if deed == "reject":
            facts += [*source.accepted(position or "r", quantity), *source.rejected(position or "r")]
        elif model == "hedging" and (deed in {"add", "turn"} or not total):
            opened += 1
            positions.append(f"o{opened}")
            facts += source.market(positions[-1], quantity * sign)
        elif model == "hedging":
            facts += source.close(position, None if deed == "close" else min(quantity, abs(total)))
        elif deed in {"add", "turn"} or not total:
            facts += source.market(position, (quantity if deed == "add" else -quantity - abs(total)) * sign)
        else:
            facts += source.market(position, -total if deed == "close" else -min(quantity, abs(total)) * sign)
    return facts


def wanted(fact: Fact, account: PerfectAccount) -> tuple[Decimal, Decimal]:
    """The model: our lots are the source's times the factor, off by less than what the broker takes as an order.

    Where the minimum is more than a step, what may be closed also has to leave the minimum behind.
    """
    counts_coming = account.account.act_on == "accept"
    total = fact.exposure.after.total if counts_coming else fact.exposure.after.held
    rules = account.book.specifications["EURUSD"]
    return total * account.account.sizing.factor, rules.volume_min * (1 if rules.volume_min == rules.volume_step else 2)


def perfect(margin: Margin, rules: Specification, factor: Decimal, act_on: str = "accept") -> PerfectAccount:
    return PerfectAccount(margin, accounts.settings(sizing=Sizing(factor=factor), act_on=act_on), rules)


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, factor=factors, rules=st.sampled_from(RULES), act_on=st.sampled_from(["accept", "fill"]))
@settings(max_examples=120)
def test_after_each_fact_the_account_is_where_the_model_says(
    model: Model,
    margin: Margin,
    deeds: list[tuple[str, int, Decimal]],
    factor: Decimal,
    rules: Specification,
    act_on: str,
) -> None:
    account = perfect(margin, rules, factor, act_on)
    for fact in story(model, deeds):
        account.follow(fact)
        lots, least = wanted(fact, account)
        own = account.own(key(fact.exposure.position))
        assert abs(own - lots) < least
        assert own * lots >= 0
        assert own % rules.volume_step == 0
        assert account.net() == sum((link.own for link in account.book.links.values()), D(0))


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, factor=factors)
@settings(max_examples=60)
def test_sizes_that_are_whole_steps_are_followed_exactly(
    model: Model, margin: Margin, deeds: list[tuple[str, int, Decimal]], factor: Decimal
) -> None:
    account = perfect(margin, EURUSD, D(5))
    for fact in story(model, deeds):
        account.follow(fact)
        assert account.own(key(fact.exposure.position)) == fact.exposure.after.total * 5


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(deeds=actions, factor=factors)
@settings(max_examples=60)
def test_seeing_a_fact_twice_changes_nothing(
    model: Model, margin: Margin, deeds: list[tuple[str, int, Decimal]], factor: Decimal
) -> None:
    account = perfect(margin, EURUSD, factor)
    for fact in story(model, deeds):
        account.follow(fact)
        before = account.book
        account.follow(fact)
        assert account.book == before


def after_flat(facts: Sequence[Fact]) -> set[int]:
    flat: set[str] = set()
    found = set()
    for index, fact in enumerate(facts):
        position = fact.exposure.position
        if position in flat:
            found.add(index)
        (flat.discard if fact.exposure.after.total else flat.add)(position)
    return found


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(data=st.data(), deeds=actions, factor=factors)
@settings(max_examples=120)
def test_dropping_facts_in_between_ends_in_the_same_place(
    model: Model, margin: Margin, data: st.DataObject, deeds: list[tuple[str, int, Decimal]], factor: Decimal
) -> None:
    """All but what comes after a flat one, which is forgotten: what it has then is as good as never seen before."""
    facts = story(model, deeds)
    first = {f.exposure.position: i for i, f in reversed(list(enumerate(facts)))}
    last = {f.exposure.position: i for i, f in enumerate(facts)}
    needed = {*first.values(), *last.values(), *after_flat(facts)}
    account = perfect(margin, EURUSD, factor)
    for index, fact in enumerate(facts):
        if index in needed or data.draw(st.booleans()):
            account.follow(fact)
    for position, index in last.items():
        lots, least = wanted(facts[index], account)
        assert abs(account.own(key(position)) - lots) < least


OWN_SIZES = {
    "fixed": Sizing(mode="fixed", lots=D("0.6")),
    "risk-percent": Sizing(mode="risk-percent", percent=D("6.006")),
    "notional": Sizing(mode="notional", amount=D("66000.6")),
    "multiplier": Sizing(factor=D("0.1")),
}
"""Each gives 0.6 lots for a source's order of 6."""


@pytest.mark.parametrize("margin", ["hedging", "netting"])
@pytest.mark.parametrize("sizing", OWN_SIZES.values(), ids=OWN_SIZES)
@given(fills=st.permutations([D(1), D(2), D(3)]), held=st.sampled_from([D(0), D(4), D(-2)]))
@settings(max_examples=20)
def test_an_order_that_fills_bit_by_bit_is_one_opening(
    margin: Margin, sizing: Sizing, fills: list[Decimal], held: Decimal
) -> None:
    """Whatever was held before, long or short: of that the account has nothing."""
    account = PerfectAccount(margin, accounts.settings(sizing=sizing, pending_orders="on-fill"))
    source = Source("netting")
    if held:
        source.market("EURUSD", held)
    size = 6 - min(D(0), held)
    source.rest("EURUSD", "L", size)
    for fill in (*fills, size - 6):
        for fact in source.fill("EURUSD", "L", fill) if fill else ():
            account.follow(replace(fact, levels=Levels(stop_loss=D("1.09"))))
    assert account.own(key("EURUSD")) == D("0.6")


@pytest.mark.parametrize("margin", ["hedging", "netting"])
def test_what_the_source_finds_out_to_have_held_counts_as_followed_and_opens_nothing(margin: Margin) -> None:
    source, account = Source("netting"), PerfectAccount(margin)
    for fact in (*source.market("EURUSD", D(1)), *source.held_before("EURUSD", D(4))):
        account.follow(fact)
    assert account.own(key("EURUSD")) == 1
    for fact in source.market("EURUSD", D(-2)):
        account.follow(fact)
    assert account.own(key("EURUSD")) == D("0.5")


@pytest.mark.parametrize(
    ("parts", "symbol"), [((), "XAUUSD"), ((Part(ticket=1, identifier=1, volume=D(1), side="buy"),), "EURUSD")]
)
def test_a_link_goes_by_the_symbol_of_the_settings_once_nothing_of_it_is_on_the_account(
    parts: tuple[Part, ...], symbol: str
) -> None:
    had = Link(key=key("o1"), instrument="EURUSD", symbol="EURUSD", revision=4, parts=parts)
    mapped = accounts.settings(symbols=Symbols(map={"EURUSD": "XAUUSD"}))
    elsewhere = accounts.settings(symbols=Symbols(suffix=".x"))
    (fact, *_) = Source().accepted("o1", "1")

    assert linked(had, fact, accounts.book(), mapped).symbol == symbol
    assert linked(had, fact, accounts.book(), elsewhere).symbol == "EURUSD", "the terminal does not list the other one"
