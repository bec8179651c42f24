"""Names, sizes and prices of a source as the broker's."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from executor.book import Figures, Price, Specification
from executor.instruments import (
    BY_MONEY,
    Sizer,
    chunks,
    orderable,
    plain,
    risked,
    source_lots,
    symbol_of,
    to_tick,
    whole_steps,
)
from executor.reasons import Denied, Reason
from executor.settings import Sizing, Symbols, SymbolSizing
from shared.facts import Contract, Side
from tests.executor import accounts
from tests.executor.accounts import EURUSD, XAUUSD

D = Decimal
FIGURES = Figures(currency="USD", balance=D(20000), equity=D(10000), margin_free=D(10000))
UNITS = Contract(unit="units")
LOTS = Contract(unit="lots", lot_size=D(100000))


def size(
    sizing: Sizing,
    quantity: str = "1",
    contract: Contract | None = LOTS,
    stop: str | None = None,
    *,
    rules: Specification = EURUSD,
    side: Side = "buy",
    whole: str | None = None,
) -> object:
    sizer = Sizer(sizing, rules, FIGURES, contract, side=side, entry=D("1.1"), stop=D(stop) if stop else None)
    return sizer.lots(D(quantity), D(whole) if whole else None)


@pytest.mark.parametrize("mode", sorted(BY_MONEY))
def test_what_goes_by_money_that_nobody_can_read_has_no_size(mode: Any) -> None:
    sizing, lost = Sizing(mode=mode, reference=D(10000)), replace(FIGURES, readable=False)
    sizer = Sizer(sizing, EURUSD, lost, LOTS, side="buy", entry=D("1.1"), stop=D("1.09"))

    denied = sizer.lots(D(1))

    assert isinstance(denied, Denied)
    assert denied.text == "the size cannot be computed: the money of the account is not known"


@pytest.mark.parametrize(
    ("instrument", "symbols", "found"),
    [
        ("EURUSD", Symbols(), "EURUSD"),
        ("GOLD", Symbols(map={"GOLD": "XAUUSD"}), "XAUUSD"),
        ("EURUSD", Symbols(suffix=".r"), None),
        ("USD", Symbols(prefix="EUR"), "EURUSD"),
        ("EUR", Symbols(suffix="USD"), "EURUSD"),
        ("GOLD", Symbols(), None),
        ("GOLD", Symbols(map={"GOLD": "GOLD.x"}), None),
        ("FX:EURUSD", Symbols(), None),
        ("eurusd", Symbols(), None),
    ],
)
def test_a_symbol_is_named_or_absent_and_never_guessed(instrument: str, symbols: Symbols, found: str | None) -> None:
    assert symbol_of(instrument, symbols, accounts.book()) == found


@pytest.mark.parametrize(
    ("quantity", "contract", "rules", "lots"),
    [
        ("0.5", LOTS, EURUSD, "0.5"),
        ("0.5", Contract(unit="lots"), EURUSD, "0.5"),
        ("100000", UNITS, EURUSD, "1"),
        ("1000", UNITS, EURUSD, "0.01"),
        ("100", UNITS, XAUUSD, "1"),
        ("1", Contract(unit="lots", lot_size=D(10)), XAUUSD, "0.1"),
        ("2", Contract(unit="contracts", lot_size=D(100)), XAUUSD, "2"),
        ("2", Contract(unit="contracts"), XAUUSD, "2"),
    ],
)
def test_quantities_become_the_same_amount_of_the_underlying(
    quantity: str, contract: Contract, rules: object, lots: str
) -> None:
    assert source_lots(D(quantity), contract, rules) == D(lots)  # type: ignore[arg-type]


def test_a_quantity_without_a_unit_is_denied() -> None:
    assert size(Sizing(), contract=None) == Denied(Reason.UNIT_UNKNOWN)


@pytest.mark.parametrize(
    ("sizing", "stop", "lots"),
    [
        (Sizing(mode="fixed", lots=D("0.07")), None, "0.07"),
        (Sizing(factor=D("0.3")), None, "0.3"),
        (Sizing(mode="equity-ratio", reference=D(40000)), None, "0.25"),
        (Sizing(mode="balance-ratio", reference=D(40000)), None, "0.5"),
        (Sizing(mode="balance-ratio", reference=D(40000), factor=D(2)), None, "1"),
        (Sizing(mode="risk-percent", percent=D(1)), "1.095", "0.2"),
        (Sizing(mode="notional", amount=D(55000)), None, "0.5"),
        (Sizing(symbols={"EURUSD": SymbolSizing(mode="fixed", lots=D("0.02"))}), None, "0.02"),
    ],
)
def test_modes_of_sizing(sizing: Sizing, stop: str | None, lots: str) -> None:
    assert size(sizing, stop=stop) == D(lots)


def test_sizing_by_risk_needs_a_stop() -> None:
    assert size(Sizing(mode="risk-percent")) == Denied(Reason.NO_STOP_LOSS)


@pytest.mark.parametrize(
    ("side", "stop", "rules"),
    [
        ("buy", "1.1", EURUSD),
        ("sell", "1.1", EURUSD),
        ("buy", "1.10001", EURUSD),
        ("sell", "1.09999", EURUSD),
        ("buy", "1.05", replace(EURUSD, tick_value=D(0))),
    ],
    ids=["at the price", "at the price of a sell", "passed", "passed by a sell", "a tick is worth nobody knows what"],
)
def test_sizing_by_risk_without_a_loss_at_the_stop_is_no_size(side: Side, stop: str, rules: Specification) -> None:
    found = size(Sizing(mode="risk-percent"), stop=stop, side=side, rules=rules)
    assert isinstance(found, Denied)
    assert found.reason is Reason.SIZE_UNKNOWN


@pytest.mark.parametrize(("side", "stop", "is_size"), [
    ("buy", "1.0985", True), ("buy", "1.099", False), ("buy", "1.0995", False),
    ("sell", "1.1015", True), ("sell", "1.101", False), ("sell", "1.1005", False),
])  # fmt: skip
def test_a_stop_within_the_spread_sizes_nothing(side: Side, stop: str, *, is_size: bool) -> None:
    """The loss would be next to nothing, the size huge, and the broker would refuse the stop."""
    price = Price(bid=D("1.099"), ask=D("1.101"), seen=accounts.NOW)
    sizing = Sizing(mode="risk-percent")
    sizer = Sizer(sizing, EURUSD, FIGURES, LOTS, side=side, entry=D("1.1"), stop=D(stop), price=price)

    assert isinstance(sizer.lots(D(1)), Decimal) is is_size


@pytest.mark.parametrize(
    ("sizing", "lots"),
    [
        (Sizing(mode="fixed", lots=D("0.08")), "0.02"),
        (Sizing(mode="risk-percent", percent=D(1)), "0.05"),
        (Sizing(mode="notional", amount=D(55000)), "0.125"),
        (Sizing(factor=D("0.3")), "0.3"),
        (Sizing(mode="equity-ratio", reference=D(40000)), "0.25"),
    ],
    ids=lambda x: x.mode if isinstance(x, Sizing) else "",
)
def test_a_part_of_an_order_gets_its_share_of_the_orders_own_size(sizing: Sizing, lots: str) -> None:
    assert size(sizing, "1", stop="1.095", whole="4") == D(lots)


@given(percent=st.decimals(D("0.1"), 5, places=1), distance=st.integers(1, 5000))
def test_sizing_by_risk_loses_what_was_said_at_the_stop(percent: Decimal, distance: int) -> None:
    stop = D("1.1") - distance * EURUSD.tick_size
    lots = size(Sizing(mode="risk-percent", percent=percent), stop=str(stop))
    assert isinstance(lots, Decimal)
    loss = risked("buy", lots, D("1.1"), stop, EURUSD)
    assert loss is not None
    assert abs(loss - FIGURES.equity * percent / 100) < D("0.01")


@pytest.mark.parametrize(
    ("lots", "volume"),
    [("0.019", "0.01"), ("0.01", "0.01"), ("1", "1"), ("0.0299999999999", "0.03"), ("0", "0"), ("0.009", "0")],
)
def test_volumes_are_whole_steps_and_noise_is_no_step_less(lots: str, volume: str) -> None:
    assert whole_steps(D(lots), EURUSD) == D(volume)


@pytest.mark.parametrize(
    ("lots", "tiny", "first", "found"),
    [
        ("0.004", "skip", True, Reason.SIZE_BELOW_MINIMUM),
        ("0.004", "minimum", True, D("0.01")),
        ("0.004", "minimum", False, Reason.SIZE_BELOW_MINIMUM),
        ("0.014", "minimum", True, D("0.01")),
        ("100", "skip", True, D(100)),
        ("100.01", "skip", True, Reason.SIZE_ABOVE_MAXIMUM),
    ],
)
def test_the_symbols_bounds(lots: str, tiny: str, first: bool, found: object) -> None:
    made = orderable(D(lots), EURUSD, Sizing(tiny=tiny), first=first)  # type: ignore[arg-type]
    assert (made.reason if isinstance(made, Denied) else made) == found


@pytest.mark.parametrize(("price", "rounded"), [("1.100004", "1.10000"), ("1.100006", "1.10001"), ("1.1", "1.10000")])
def test_prices_are_rounded_to_the_nearest_tick(price: str, rounded: str) -> None:
    assert str(to_tick(D(price), EURUSD)) == rounded


def test_a_tick_that_is_not_a_point_is_respected() -> None:
    index = replace(EURUSD, digits=2, point=D("0.01"), tick_size=D("0.25"))
    assert to_tick(D("15000.13"), index) == D("15000.25")


def test_an_exit_above_the_maximum_is_made_of_several_orders() -> None:
    assert chunks(D(250), EURUSD) == (D(100), D(100), D(50))
    assert chunks(D(0), EURUSD) == ()
    assert chunks(D(3), None) == (D(3),)


@pytest.mark.parametrize(
    ("number", "text"), [("1.10", "1.1"), ("100", "100"), ("1E+2", "100"), ("0.00000001", "0.00000001")]
)
def test_numbers_are_written_plainly(number: str, text: str) -> None:
    assert plain(D(number)) == text
