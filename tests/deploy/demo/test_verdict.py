"""Whether the books agree: each kind of disagreement has to be found."""

from dataclasses import dataclass, field, replace
from decimal import Decimal as D

import msgspec
import pytest

from deploy.demo import verdict
from deploy.demo.holdings import Archive, Books, Holding, Row, Trade

BUY = Trade("EURUSD", D("0.1"))
SELL = Trade("EURUSD", D("-0.04"))
OPEN = Holding("EURUSD", D("0.06"), D("1.08"), D("1.09"))
SOURCE = Books(holdings=(OPEN,), trades=(BUY, SELL), resting=1)
TERMINAL = msgspec.structs.replace(SOURCE, deals=(5, 6))
ROWS = (
    Row("one", "f1", "filled", True, D("0.1"), D(0), (5,)),
    Row("one", "f2", "owed", False, D(0), D(0), ()),
    Row("one", "f2", "closed", True, D(0), D("0.04"), (6,)),
    Row("one", "f3", "ignored", True, D(0), D(0), ()),
)
ARCHIVE = Archive({"f1": "call", "f2": "call", "f3": "poll"}, ROWS)


@dataclass(frozen=True)
class Case:
    source: Books = SOURCE
    terminal: Books = TERMINAL
    archive: Archive = ARCHIVE
    accepted: int = 2
    published: list[str] = field(default_factory=lambda: ["f1", "f2", "f3"])

    def bad(self) -> list[str]:
        checks = verdict.account_checks("one", self.source, self.terminal, netting=False)
        checks += verdict.archive_checks(self.archive, {"one": self.terminal}, self.accepted, self.published)
        return [check.name for check in checks if not check.good]


def terminal(**changes: object) -> Books:
    return msgspec.structs.replace(TERMINAL, **changes)


def rows(*changed: Row) -> Archive:
    return Archive(ARCHIVE.facts, changed)


def test_books_that_agree_are_all_good() -> None:
    assert Case().bad() == []


@pytest.mark.parametrize(
    ("case", "bad"),
    [
        (Case(terminal=terminal(holdings=())), ["one: open positions"]),
        (Case(terminal=terminal(holdings=(OPEN, OPEN))), ["one: open positions"]),
        (
            Case(terminal=terminal(holdings=(Holding("EURUSD", D("0.06"), D("1.07"), D("1.09")),))),
            ["one: open positions"],
        ),
        (Case(terminal=terminal(resting=0)), ["one: resting orders"]),
        (
            Case(terminal=terminal(trades=(BUY, SELL, SELL), deals=(5, 6, 7))),
            ["one: fills", "archive: deals of one", "archive: lots of one"],
        ),
        (Case(archive=Archive({"f1": "call", "f2": "call"}, ROWS)), ["archive: facts published"]),
        (Case(accepted=3), ["archive: facts for deeds accepted"]),
        (Case(archive=rows(*ROWS[:3])), ["archive: facts with one end on one"]),
        (Case(archive=rows(*ROWS, ROWS[3])), ["archive: facts with one end on one"]),
        (
            Case(archive=rows(ROWS[0], Row("one", "f2", "closed", True, D(0), D("0.04"), (8,)), ROWS[3])),
            ["archive: deals of one"],
        ),
        (
            Case(archive=rows(ROWS[0], Row("one", "f2", "closed", True, D(0), D("0.03"), (6,)), ROWS[3])),
            ["archive: lots of one"],
        ),
    ],
)
def test_each_disagreement_is_found_where_it_is(case: Case, bad: list[str]) -> None:
    assert case.bad() == bad


def test_a_netting_account_shows_the_net_of_a_hedging_source() -> None:
    source = replace(Case()).source
    two = msgspec.structs.replace(source, holdings=(OPEN, Holding("EURUSD", D("-0.02"), D(0), D(0))))
    net = terminal(holdings=(Holding("EURUSD", D("0.04"), D(0), D(0)),))
    assert all(check.good for check in verdict.account_checks("one", two, net, netting=True))
    assert not all(check.good for check in verdict.account_checks("one", two, net, netting=False))
    flat = msgspec.structs.replace(source, holdings=(OPEN, Holding("EURUSD", D("-0.06"), D(0), D(0))))
    assert verdict.account_checks("one", flat, terminal(holdings=()), netting=True)[0].good


def test_a_line_says_what_was_expected_where_it_differs() -> None:
    checks = verdict.account_checks("one", SOURCE, terminal(holdings=()), netting=False)
    first, second, _ = verdict.lines(checks)
    assert "DIFF" in first
    assert "expected +0.06 EURUSD sl 1.08 tp 1.09; found none" in first
    assert "ok" in second
    assert "+0.1 EURUSD, -0.04 EURUSD" in second
