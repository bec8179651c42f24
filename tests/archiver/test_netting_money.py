"""Trades that share MT5's one position of a symbol: each deal's money is told once, of the trade that it belongs to."""

import random
from collections.abc import Iterable, Sequence
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from shared import outcomes
from tests.archiver.entries import Message, later, select, step
from tests.archiver.test_journal import Story, archive_of
from tests.conftest import Database
from tests.shared.samples import MOMENT

ZERO = D(0)
MONEY = "select position, state, lots, lots_closed, net from trades order by position, captured"
OTHER = {"buy": "sell", "sell": "buy"}


class Account:
    """A netting account with one position of EURUSD, as MT5 keeps it, and the trades of a hedging source in it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.net = ZERO
        self.position = self.mark = self.number = 0
        self.stories: dict[str, Story] = {}
        self.open: dict[str, D] = {}
        self.booked = ZERO

    def goes_to(self, trade: str, lots: str, profit: int = 0) -> None:
        """The source's position `trade` becomes `lots` (signed), and the account follows."""
        story = self.stories.setdefault(trade, Story(trade, MOMENT + timedelta(minutes=10 * len(self.stories))))
        own, target = self.open.get(trade, ZERO), D(lots)
        fact = story.goes_to(lots, "1.1")
        steps = list(self._steps(own, target, profit))
        self.open[trade] = target
        result = "filled" if abs(target) > abs(own) else "closed"
        story.ends(fact, *steps, result=result)
        self.messages += story.messages[-2:]

    def _steps(self, own: D, target: D, profit: int) -> Iterable[outcomes.StepReport]:
        if abs(target) > abs(own):
            yield self._step("open", "open", target - own, profit)
            return
        away = target - own
        towards = min(abs(away), max(ZERO, self.net * (1 if own > 0 else -1)))
        if towards:
            yield self._step("reduce", "reduce", towards.copy_sign(away), profit)
        if abs(away) > towards:
            yield self._step("cross", "open", (abs(away) - towards).copy_sign(away), profit)

    def _step(self, name: str, kind: Any, volume: D, profit: int) -> outcomes.StepReport:
        mark = 1000 + self.number
        deal = self.deal(volume, mark=mark, profit=profit)
        side = "buy" if volume > 0 else "sell"
        return step(
            name=name, kind=kind, action=kind, side=side, volume=abs(volume), price=D("1.1"), deal=deal, mark=mark,
            ticket=self.position,
        )  # fmt: skip

    def deal(self, volume: D, *, mark: int = 0, reason: Any = "copier", profit: int = 0) -> int:
        """Buy or sell (negative) so much, and earn what a deal that closes something earns."""
        self.number += 1
        before, self.net = self.net, self.net + volume
        if not before:
            self.position, self.mark = self.number, mark
        way: Any = "in" if before * volume >= 0 else "inout" if self.net * volume > 0 else "out"
        earned = D(profit if way != "in" else 0)
        moment = later(len(self.messages))
        self.messages.append(
            outcomes.Deal(
                account="one", deal=self.number, order=self.number, position=self.position, symbol="EURUSD",
                side="buy" if volume > 0 else "sell", entry=way, volume=abs(volume), price=D("1.1"), time=moment,
                seen=moment, mark=mark, profit=earned, commission=D(-1), reason=reason,
            )
        )  # fmt: skip
        self.booked += earned - 1
        return self.number

    def ends(self, reason: str, profit: int) -> None:
        """A level, which bears the position's mark, or a hand closes the position; the trades of its side are over."""
        side, left = (1 if self.net > 0 else -1), abs(self.net)
        self.deal(-self.net, mark=self.mark if reason != "hand" else 0, reason=reason, profit=profit)
        for trade, own in self.open.items():
            if own * side > 0:
                taken = min(abs(own), left)
                left -= taken
                self.open[trade] = own - taken * side


async def table(database: Database, account: Account) -> Sequence[tuple[Any, ...]]:
    return select(await archive_of(database, account.messages), MONEY)


@pytest.mark.parametrize("reason", ["hand", "stop_loss", "take_profit"])
async def test_what_closes_a_position_that_an_exit_has_begun_is_money_of_the_trade_that_went_on_in_it(
    any_postgres: Database, reason: str
) -> None:
    account = Account()
    account.goes_to("A", "0.1")
    account.goes_to("B", "-0.1", profit=48)
    account.goes_to("A", "0")
    account.ends(reason, profit=199)
    assert await table(any_postgres, account) == [
        ("A", "closed", D("0.1"), D("0.1"), D(-2)),
        ("B", "closed", D("0.1"), D("0.1"), D(48 + 199 - 2)),
    ]


@pytest.mark.parametrize("reason", ["hand", "stop_loss"])
async def test_what_closes_a_shared_position_is_money_of_all_that_were_in_it_by_their_lots(
    any_postgres: Database, reason: str
) -> None:
    account = Account()
    account.goes_to("A", "0.1")
    account.goes_to("B", "0.2")
    account.goes_to("C", "0.1")
    account.goes_to("C", "0", profit=7)
    account.ends(reason, profit=301)
    found = await table(any_postgres, account)
    assert [row[:4] for row in found] == [
        (name, "closed", D(lots), D(lots)) for name, lots in (("A", "0.1"), ("B", "0.2"), ("C", "0.1"))
    ]
    assert [round(row[4], 6) for row in found] == [D(100 - 1), D(200 - 1), D(7 - 2)]


async def test_what_closes_the_rest_of_one_side_is_no_money_of_the_other(any_postgres: Database) -> None:
    account = Account()
    account.goes_to("A", "0.3")
    account.goes_to("B", "-0.1", profit=10)
    account.ends("stop_loss", profit=20)
    account.goes_to("A", "0")
    account.goes_to("B", "0", profit=5)
    assert await table(any_postgres, account) == [
        ("A", "closed", D("0.3"), D("0.3"), D(20 - 3)),
        ("B", "closed", D("0.1"), D("0.1"), D(10 + 5 - 2)),
    ]


async def test_a_trade_that_begins_later_has_none_of_it(any_postgres: Database) -> None:
    account = Account()
    account.goes_to("A", "0.1")
    account.goes_to("B", "-0.1")
    account.goes_to("A", "0")
    account.ends("hand", profit=50)
    account.goes_to("C", "-0.1")
    account.goes_to("C", "0", profit=3)
    found = {row[0]: row[4] for row in await table(any_postgres, account)}
    assert found == {"A": D(-2), "B": D(50 - 2), "C": D(3 - 2)}


async def test_an_exit_that_goes_past_zero_opens_no_trade_and_makes_none_larger(any_postgres: Database) -> None:
    account = Account()
    account.goes_to("A", "0.2")
    account.goes_to("B", "-0.2")
    account.goes_to("A", "0.1")
    account.goes_to("B", "-0.1", profit=4)
    assert await table(any_postgres, account) == [
        ("A", "open", D("0.2"), D("0.1"), D(-2)),
        ("B", "open", D("0.2"), D("0.1"), D(4 - 2)),
    ]


async def test_an_exit_of_what_nobody_has_told_of_is_no_trade_when_it_goes_past_zero(any_postgres: Database) -> None:
    adopted = Account()
    adopted.open = {"A": D("0.1"), "B": D("-0.1")}
    adopted.goes_to("A", "0")
    assert await table(any_postgres, adopted) == []


async def test_what_others_add_to_a_position_costs_none_of_ours(any_postgres: Database) -> None:
    account = Account()
    account.goes_to("A", "0.1")
    account.deal(D("0.3"), reason="hand")
    account.deal(D("-0.4"), reason="hand", profit=40)
    assert await table(any_postgres, account) == [("A", "closed", D("0.1"), D("0.1"), D(10 - 1) - D("0.25"))]


def play(account: Account, rng: random.Random) -> None:
    """Trades of both sides come and go; now and then a level or a hand closes what MT5 holds."""
    for number in range(40):
        alive = sorted(name for name, own in account.open.items() if own)
        mine = [name for name in alive if account.open[name] * account.net > 0]
        chance = rng.random()
        if chance < 0.45 or not alive:
            account.goes_to(f"T{number:02d}", str(rng.choice((-3, -2, -1, 1, 2, 3)) * D("0.1")), rng.randint(-50, 50))
        elif chance < 0.9:
            trade = rng.choice(alive)
            left = account.open[trade] * rng.choice((0, 0, 0, 1)) / 2
            account.goes_to(trade, str(left), rng.randint(-50, 50))
        elif mine and (len(mine) == 1 or len(mine) == len(alive)):  # else nobody can say whose it was
            account.ends(rng.choice(("hand", "stop_loss", "take_profit", "stop_out")), rng.randint(-50, 50))


@pytest.mark.parametrize("seed", range(4))
async def test_each_deal_is_money_of_one_trade_and_the_sum_is_what_the_account_has_earned(
    archive: Database, seed: int
) -> None:
    account = Account()
    play(account, random.Random(seed))
    found = await table(archive, account)
    assert round(sum(row[4] for row in found), 6) == account.booked
    still = {name: abs(own) for name, own in account.open.items() if own}
    assert {row[0]: row[2] - row[3] for row in found if row[1] == "open"} == still
