"""What an operator of the simulator may do."""

from __future__ import annotations

from typing import Any

import pytest

from executor.mt5.simulator.admin import Admin
from executor.mt5.simulator.engine import Engine
from executor.mt5.simulator.faults import FaultKind, Faults
from executor.mt5.vocabulary import DealType
from tests.executor.mt5.engines import D, deal, engine, send
from tests.executor.mt5.simulated import NOON


class Office:
    def __init__(self) -> None:
        self.engine: Engine = engine()
        self.faults = Faults()
        self.admin = Admin(self.engine, self.faults)

    def tell(self, command: str, **arguments: Any) -> Any:
        return self.admin.answer(f"admin.{command}", arguments, NOON)


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_price_is_pinned_exactly_and_acts_at_once(office: Office) -> None:
    send(office.engine, deal(sl=D("1.09")))
    assert office.tell("price", symbol="EURUSD", bid="1.08999", ask="1.09009").value is True
    assert not office.engine.store.positions
    quote = office.engine.floor(NOON).quote("EURUSD")
    assert quote is not None
    assert (quote.bid, quote.ask) == (D("1.08999"), D("1.09009"))


def test_a_released_price_goes_back_to_the_feed(office: Office) -> None:
    office.tell("price", symbol="EURUSD")
    quote = office.engine.floor(NOON).quote("EURUSD")
    assert quote is not None
    assert quote.bid == office.engine.store.symbols["EURUSD"].price


def test_a_new_symbol_starts_as_a_copy(office: Office) -> None:
    office.tell("symbol", name="EURUSD.pro", like="EURUSD", stops_level=7)
    new = office.engine.store.symbols["EURUSD.pro"]
    assert (new.stops_level, new.contract) == (7, D(100_000))


def test_faults_are_set_and_cleared(office: Office) -> None:
    office.tell("fault", kind="hang", function="positions_get")
    found = office.faults.take("positions_get")
    assert found is not None
    assert found.kind == FaultKind.HANG
    office.tell("fault", kind="drop")
    office.tell("clear")
    assert office.faults.take("order_send") is None


def test_a_deposit_is_a_deal(office: Office) -> None:
    ticket = office.tell("deposit", amount="12.5", comment="gift").value
    assert office.engine.store.deals[ticket].profit == D("12.50")


def test_money_moves_as_any_sort_of_deal_and_a_credit_is_not_in_the_balance(office: Office) -> None:
    before = office.engine.store.account
    charged = office.tell("deposit", amount="-3", kind="charge").value
    credited = office.tell("deposit", amount="7", kind="credit").value
    after, deals = office.engine.store.account, office.engine.store.deals

    assert (deals[charged].type, deals[credited].type) == (DealType.CHARGE, DealType.CREDIT)
    assert (after.balance - before.balance, after.credit - before.credit) == (D(-3), D(7))


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("price", {"symbol": "NOPE", "bid": "1", "ask": "1"}),
        ("price", {"symbol": "EURUSD", "bid": "1"}),
        ("symbol", {"name": "EURUSD", "colour": "red"}),
        ("symbol", {"name": "NOPE"}),
        ("account", {"leverage": "much"}),
        ("settings", {"algo": False}),
        ("fault", {"kind": "earthquake"}),
        ("deposit", {"amount": "1", "kind": "gift"}),
        ("deposit", {"amount": "1", "kind": "buy"}),
    ],
)
def test_what_cannot_be_read_changes_nothing_and_says_why(
    office: Office, command: str, arguments: dict[str, Any]
) -> None:
    before = office.engine.store.whole()
    reply = office.tell(command, **arguments)
    assert reply.code == -2
    assert isinstance(reply.value, str)
    assert office.engine.store.whole().symbols == before.symbols
    assert office.engine.store.whole().account == before.account


def test_an_unknown_command_is_unsupported(office: Office) -> None:
    assert office.tell("dance").code == -7
