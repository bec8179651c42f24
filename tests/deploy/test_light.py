"""The big light: what makes it red or yellow, and that the reason tells a trader what to do."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.light import light, span
from deploy.looking import AccountSeen, Held, Seen, SourceSeen
from shared.vitals import AccountVitals, SourceVitals

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
VITALS = AccountVitals(at=NOW, condition="active", connected=True, algo=True, identity="1@Demo", margin="hedging")
SOURCE = SourceSeen(name="demo", vitals=SourceVitals(at=NOW, owned=True, polled=NOW))
ACCOUNT = AccountSeen(name="main", live=True, sources=("demo",), mode="active", vitals=VITALS, lag=0)
WELL = Seen(at=NOW, sources=(SOURCE,), accounts=(ACCOUNT,))


STARTING = frozenset({"ingest", "executor", "archiver"})


HELD_BACK = "demo/1: no trade is published, the model is not known: reload the TradingView page"


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


def account(**changes: Any) -> Seen:
    return replace(WELL, accounts=(replace(ACCOUNT, **changes),))


def vitals(**changes: Any) -> Seen:
    return account(vitals=replace(VITALS, **changes))


def source(positions: tuple[Held, ...] = (), **changes: Any) -> Seen:
    told = SourceVitals(**{"at": NOW, "owned": True, "polled": NOW, **changes})
    return replace(WELL, sources=(replace(SOURCE, vitals=told, positions=positions),))


OPEN = (Held(instrument="EURUSD", quantity=Decimal(1)),)


RED = {
    "a fact whose key is not here": (account(mode="close-only", reason="unknown-key"), "until the key of a fact"),
    "Redis is gone": (Seen(at=NOW, trouble="connection refused"), "Redis does not answer"),
    "the terminal is gone": (vitals(condition="away"), "start MetaTrader 5"),
    "another login": (vitals(condition="away", why="account main was 1@A, run `account repoint`"), "was 1@A"),
    "no link to the broker": (vitals(connected=False), "no connection to the broker"),
    "algo trading is off": (vitals(algo=False), "press the button Algo Trading"),
    "the source is blind": (source(OPEN, polled=ago(31)), "blind, no look at the account for 31 s"),
    "the source is blind since it began": (source(OPEN, polled=None), "blind, no look .* since the proxy began"),
    "ingest says that it is blind": (source(polled=ago(70), blind=True), "blind, no look at the account for 70 s"),
    "the terminal does not come up": (vitals(condition="starting", since=ago(16)), "start MetaTrader 5"),
    "the proxy is gone": (source(at=ago(6)), "the proxy is not running"),
    "trades are held back": (source(held_back=(HELD_BACK,)), "no trade is published"),
    "drift": (vitals(drift=("EURUSD: 0.1 lots expected, 0 there",)), "drift, EURUSD"),
    "an exit is owed": (vitals(owed=1), "1 closes are owed"),
    "unresolved for long": (vitals(unresolved=1, oldest=31), "nobody knows what became of 1 orders"),
    "an order waits": (account(oldest=6.0), "an order waits for 6 s"),
    "lag that nobody can tell": (account(lag=None), "how far it has read"),
    "the executor is silent": (vitals(at=ago(6)), "no executor works"),
    "the executor has never spoken": (account(vitals=None), "no executor works"),
    "its group was detached": (account(away="detached: nobody read for it", vitals=None), "detached: nobody read"),
    "halted": (account(mode="halted", reason="operator"), r"halted \(operator\)"),
    "facts wait on disk": (source(waiting=2), "2 facts wait on disk"),
    "a disk is full or hangs": (source(unwritten=2), "2 records of the outbox are in memory only"),
    "a dead letter": (replace(WELL, dead=1), "1 dead letters"),
    "Redis fills up": (replace(WELL, memory_used=0.81), "81%"),
}
YELLOW = {
    "something came and went": (source(untold=("bought 1",)), "1 trades nobody could be told of: see `ingest untold`"),
    "TradingView was never seen": (source(polled=None), "open it with the proxy set"),
    "TradingView is closed and nothing is open": (source(polled=ago(31)), "TradingView is closed, seen last 31 s ago"),
    "the terminal is being connected": (vitals(condition="starting", since=ago(14)), "starting"),
    "the proxy is being started": (replace(source(at=ago(6)), starting=STARTING), "the proxy is starting"),
    "the executor is being started": (replace(account(vitals=None), starting=STARTING), "its executor is starting"),
    "everything is being started": (Seen(at=NOW, trouble="refused", starting=STARTING), "everything is starting"),
    "close-only": (account(mode="close-only", reason="daily-loss"), "close-only"),
    "shadow": (account(live=False), "in shadow"),
    "it was removed": (account(away="removed: take [executor.accounts.main] out", vitals=None), "removed: take"),
    "an instrument without a symbol": (vitals(unmapped=("US500",)), "symbols.map"),
    "the archive is behind": (replace(WELL, archive_lag=1001), "archive is behind"),
    "the archive's lag is not known": (replace(WELL, archive_lag=None), "nobody knows how many"),
}


def test_it_is_green_when_nothing_is_wrong() -> None:
    assert light(WELL).colour == "green"
    assert light(WELL).reasons == ()


@pytest.mark.parametrize(("seen", "words"), RED.values(), ids=RED)
def test_it_is_red_when(seen: Seen, words: str) -> None:
    found = light(seen)

    assert found.colour == "red"
    (reason,) = found.reasons
    assert re.search(words, reason.text)


@pytest.mark.parametrize(("seen", "words"), YELLOW.values(), ids=YELLOW)
def test_it_is_yellow_when(seen: Seen, words: str) -> None:
    found = light(seen)

    assert found.colour == "yellow"
    assert [words in reason.text for reason in found.reasons] == [True]


def test_what_is_short_or_meant_is_no_reason() -> None:
    for seen in (vitals(unresolved=1, oldest=29), account(oldest=4.0), vitals(algo=False, condition="active")):
        expected = "red" if seen.accounts[0].vitals and not seen.accounts[0].vitals.algo else "green"
        assert light(seen).colour == expected
    assert light(replace(vitals(algo=False), accounts=(replace(ACCOUNT, live=False),))).colour == "yellow"


def test_the_worst_reason_comes_first() -> None:
    both = replace(account(mode="close-only"), dead=1)

    assert [reason.colour for reason in light(both).reasons] == ["red", "yellow"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.02, "20 ms"), (3, "3 s"), (119, "119 s"), (240, "4 min"), (7200, "2 h"), (500_000, "6 days")],
)
def test_a_span_is_told_in_a_persons_units(seconds: float, words: str) -> None:
    assert span(seconds) == words
