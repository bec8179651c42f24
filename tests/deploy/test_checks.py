"""What doctor says about each thing it looked at, and that everything that is not well comes with what to do."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from deploy import checks
from deploy.checks import Check, Replication
from tests.deploy import test_light as seen

SAFE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def levels(found: Iterator[Check]) -> dict[str, str]:
    return {check.what: check.level for check in found}


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("appendonly", "no", "fail"),
        ("appendfsync", "everysec", "warn"),
        ("maxmemory-policy", "allkeys-lru", "fail"),
    ],
)
def test_a_redis_that_may_lose_trades(name: str, value: str, level: str) -> None:
    assert set(levels(checks.durability(SAFE)).values()) == {"ok"}
    assert levels(checks.durability({**SAFE, name: value}))[f"redis {name}"] == level


ALONE = Replication(watched=False, replicas=0, near=None, max_lag=10, lease=10)


@pytest.mark.parametrize(
    ("answer", "level"),
    [(None, None), ("OK", None), ("User default has no permissions to run the 'set' command", "fail")],
)
def test_a_server_that_would_read_its_file_without_rights_loses_trades(answer: str | None, level: str | None) -> None:
    assert levels(checks.reloading(answer)).get("redis restart") == level


WRITE, FOLLOW = "redis min-replicas-to-write", "redis replicas"


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({}, {}),
        ({"replicas": 1}, {WRITE: "warn"}),
        ({"watched": True}, {FOLLOW: "warn", WRITE: "warn"}),
        ({"watched": True, "replicas": 1, "near": 1, "max_lag": 5}, {WRITE: "ok"}),
        ({"watched": True, "replicas": 1, "near": 1, "max_lag": None}, {WRITE: "ok"}),
        ({"watched": True, "replicas": 1, "near": 1, "max_lag": 10}, {WRITE: "warn"}),
        ({"watched": True, "replicas": 1, "near": 0, "max_lag": 5}, {WRITE: "fail"}),
    ],
)
def test_a_primary_that_was_cut_off_has_to_end_before_a_lease_does(
    how: dict[str, Any], expected: dict[str, str]
) -> None:
    found = list(checks.replication(replace(ALONE, **how)))

    assert levels(iter(found)) == expected
    assert all(check.advice for check in found if check.level != "ok")


@pytest.mark.parametrize(("offset", "level"), [(0.01, "ok"), (-0.3, "warn"), (2.5, "fail"), (-0.25, "ok")])
def test_a_clock_counts_as_wrong_only_as_far_as_that_is_certain(offset: float, level: str) -> None:
    assert checks.clock(offset, 0.06).level == level


@pytest.mark.parametrize(("free", "level"), [(10**10, "ok"), (10**9, "warn"), (10**8, "fail")])
def test_room_on_the_disk(free: int, level: str) -> None:
    assert checks.disk(free).level == level


@pytest.mark.parametrize(
    ("case", "level"),
    [
        ("the source is blind", "fail"),
        ("the source is blind since it began", "fail"),
        ("ingest says that it is blind", "fail"),
        ("TradingView was never seen", "warn"),
        ("TradingView is closed and nothing is open", "warn"),
    ],
)
def test_a_source_that_nobody_looks_at_costs_trades_only_while_something_is_open(case: str, level: str) -> None:
    at, _ = {**seen.RED, **seen.YELLOW}[case]

    (check,) = checks.source(at.sources[0], at)

    assert check.level == level
    assert "ingest pac" in check.advice


def test_trades_that_are_seen_and_not_told_cost_money() -> None:
    at, _ = seen.RED["trades are held back"]

    (trades,) = [check for check in checks.source(at.sources[0], at) if check.what == "source demo trades"]

    assert (trades.level, trades.advice) == ("fail", "reload the TradingView page")
    assert trades.found.startswith("demo/1: no trade is published")


def test_a_lane_that_has_just_begun_is_to_be_looked_at_again() -> None:
    at, _ = seen.YELLOW["the terminal is being connected"]

    assert levels(checks.account(at.accounts[0], at)) == {"account main terminal": "warn"}


@pytest.mark.parametrize(("case", "failing"), [
    ("the terminal is gone", "account main terminal"),
    ("no link to the broker", "account main terminal"),
    ("algo trading is off", "account main algo trading"),
    ("the executor is silent", "account main"),
    ("drift", "account main drift"),
    ("an exit is owed", "account main unfinished"),
    ("unresolved for long", "account main unfinished"),
])  # fmt: skip
def test_an_account_that_cannot_trade(case: str, failing: str) -> None:
    at, _ = seen.RED[case]

    assert levels(checks.account(at.accounts[0], at))[failing] == "fail"


@pytest.mark.parametrize(("case", "level"), [("the source is blind", "fail"), ("the proxy is gone", "fail")])
def test_a_source_that_is_not_seen(case: str, level: str) -> None:
    at, _ = seen.RED[case]

    assert levels(checks.source(at.sources[0], at)) == {"source demo": level}


def test_a_source_that_was_never_seen_may_just_not_be_open_yet() -> None:
    at = seen.source(polled=None)

    assert levels(checks.source(at.sources[0], at)) == {"source demo": "warn"}


def test_the_symbol_map_names_what_is_missing() -> None:
    at = seen.vitals(unmapped=("US500",), filling={"EURUSD": ("FOK", "IOC"), "XAUUSD": ()})
    found = {check.what: check for check in checks.account(at.accounts[0], at)}

    assert found["account main symbol map"].level == "fail"
    assert "US500" in found["account main symbol map"].found
    assert found["account main filling modes"].found == "EURUSD: FOK/IOC, XAUUSD: return"


@pytest.mark.parametrize("state", ["halted", "close-only"])
def test_a_state_that_stops_openings_says_how_it_ends(state: str) -> None:
    at = seen.account(mode=state, reason="operator")
    found = {check.what: check for check in checks.account(at.accounts[0], at)}["account main state"]

    assert found.level == "warn"
    assert "tradecopier resume main" in found.advice


def test_everything_that_is_not_well_comes_with_what_to_do() -> None:
    told = [
        c for at, _ in (*seen.RED.values(), *seen.YELLOW.values()) for a in at.accounts for c in checks.account(a, at)
    ]
    told += [
        c for at, _ in (*seen.RED.values(), *seen.YELLOW.values()) for s in at.sources for c in checks.source(s, at)
    ]

    assert all(bool(check.advice) == (check.level != "ok") for check in told)
