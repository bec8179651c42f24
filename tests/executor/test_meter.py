"""What one account's lane tells Prometheus: ends, refusals, answers, what is unfinished, and what counting costs."""

import asyncio
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.change import Change
from executor.meter import Disagreement, Meter
from executor.metrics import Metrics
from executor.mt5.simulator.faults import FaultKind
from executor.pulse import vitals_of
from executor.settings import Limits
from executor.stages import STAGES
from executor.states import AccountState
from shared.outcomes import Notice, Outcome, Pending
from tests.executor.rig import ACCOUNT, KEYS, PATIENCE_S, Simulator, Source, account, ended, running

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)


class Shown:
    """A meter with a way to read what it shows."""

    def __init__(self, meter: Meter | None = None) -> None:
        self.meter = meter or Meter(Metrics(CollectorRegistry(), [ACCOUNT]), ACCOUNT, Limits(), lambda: NOW)
        self.registry = self.meter.registry

    def __call__(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(f"tradecopier_{name}", {"account": ACCOUNT, **labels})
        assert value is not None, f"there is no {name}{labels}"
        return value


@pytest.fixture
def shown() -> Shown:
    return Shown()


def outcome(**changes: Any) -> Outcome:
    moments = {"captured": NOW - timedelta(seconds=3), "read": NOW, "committed": NOW}
    return Outcome(**{"fact": "f", "account": ACCOUNT, "result": "filled", "entry": "1-0", **moments, **changes})


def test_every_series_is_there_before_anything_happened(shown: Shown) -> None:
    assert shown("outcomes_total", result="dead") == 0
    assert shown("denials_total", reason="too-old") == 0
    assert shown("retcodes_total", retcode="10018") == 0
    assert shown("stage_seconds_count", stage="terminal") == 0
    assert shown("openings_unpriced_total", reference="account") == 0
    assert shown("unfinished_facts", state="owed") == 0
    assert math.isnan(shown("account_equity"))


def test_a_refusal_counts_by_its_reason_and_one_of_no_list_as_other(shown: Shown) -> None:
    shown.meter.committed(Change(messages=[outcome(result="denied", reason="too-old")]))
    shown.meter.committed(Change(messages=[outcome(result="denied", reason="made up", fact="g")]))

    assert shown("denials_total", reason="too-old") == 1
    assert shown("denials_total", reason="other") == 1
    assert shown("last_success_timestamp_seconds") == 0


def test_what_took_effect_is_the_last_success(shown: Shown) -> None:
    shown.meter.committed(Change(messages=[outcome()]))

    assert shown("last_success_timestamp_seconds") == NOW.timestamp()


def test_a_fact_that_waited_for_its_end_counts_in_the_whole_alone(shown: Shown) -> None:
    waiting = Pending(fact="f", account=ACCOUNT, state="owed", since=NOW)
    shown.meter.committed(Change(messages=[waiting]))
    shown.meter.committed(Change(messages=[outcome(result="closed")]))

    assert shown("stage_seconds_count", stage="end_to_end") == 1
    assert shown("stage_seconds_count", stage="queue") == shown("stage_seconds_count", stage="decide") == 0


@pytest.mark.parametrize("asked", [{"attempt": 2}, {"entry": "0-7"}])
def test_what_was_asked_for_long_after_it_was_captured_says_nothing_of_how_fast_we_are(
    shown: Shown, asked: dict[str, Any]
) -> None:
    shown.meter.committed(Change(messages=[outcome(**asked)]))

    assert shown("outcomes_total", result="filled") == 1
    assert shown("stage_seconds_count", stage="end_to_end") == 0


@pytest.mark.parametrize(
    ("live", "now", "shown_as"),
    [
        (True, AccountState.ACTIVE, "active"),
        (False, AccountState.ACTIVE, "shadow"),
        (False, AccountState.HALTED, "halted"),
        (True, AccountState.SHADOW, "shadow"),
        (True, None, None),
    ],
)
def test_an_account_whose_settings_send_nothing_is_not_shown_as_active(
    live: bool, now: AccountState | None, shown_as: str | None
) -> None:
    shown = Shown(Meter(Metrics(CollectorRegistry(), [ACCOUNT]), ACCOUNT, Limits(), lambda: NOW, live=live))

    shown.meter.state(now)

    assert [str(state) for state in AccountState if shown("trading_state", state=str(state))] == [shown_as] * bool(now)


def test_a_drift_counts_from_its_beginning_until_it_is_over(shown: Shown) -> None:
    assert (shown("drift_positions"), shown("drift_oldest_seconds")) == (0, 0)

    old, new = (Disagreement("EURUSD: …", NOW - timedelta(seconds=seconds)) for seconds in (70, 4))
    shown.meter.differs([new, old])
    assert (shown("drift_positions"), shown("drift_oldest_seconds")) == (2, 70)

    shown.meter.differs(())
    assert (shown("drift_positions"), shown("drift_oldest_seconds")) == (0, 0)


def test_a_limit_that_was_passed_a_dead_letter_and_what_came_again_are_counted(shown: Shown) -> None:
    notice = Notice(account=ACCOUNT, reason="daily-loss", text="", seen=NOW)
    shown.meter.committed(Change(messages=[notice], dead={b"m": b"x"}))
    shown.meter.redelivered(3)
    shown.meter.trailed()

    assert shown("guard_breaches_total", limit="daily-loss") == 1
    assert shown("dead_letters_made_total") == 1
    assert shown("redeliveries_total") == 3
    assert shown("trailing_updates_total") == 1


async def test_a_lane_shows_what_it_did_and_what_its_account_is(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()) as lane:
        await source.buy("p1")
        await source.buy("p2", "0.2")
        await ended(redis, 2)
        async with asyncio.timeout(10):
            while lane.meter.info is None or len(await simulator.volumes()) < 2 or lane.meter.book is None:
                await asyncio.sleep(0.05)
        shown = Shown(lane.meter)
        found = {name: shown(name) for name in ("account_positions", "account_lots", "terminal_connected")}

    assert found == {"account_positions": 2, "account_lots": pytest.approx(0.3), "terminal_connected": 1}
    assert shown("outcomes_total", result="filled") == shown("retcodes_total", retcode="10009") == 2
    assert shown("slippage_points_bucket", le="+Inf") == 2
    assert shown("terminal_algo_trading") == 1


async def test_openings_for_which_the_source_told_no_price_are_counted(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()) as lane:
        await source.buy("p1")
        await source.buy("p2", price=None, quote=None)
        await ended(redis, 2)
        await source.close("p2")
        await ended(redis, 3)
        shown = Shown(lane.meter)

    assert sum(shown("openings_unpriced_total", reference=each) for each in ("account", "none")) == 1


async def test_a_lane_that_stands_by_tells_nothing_of_what_another_one_does(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    """A close is owed when another lane takes the account over; that one pays it, and says so."""
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()) as lane:
        shown = Shown(lane.meter)
        await source.buy("p1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=0)
        await source.close("p1")
        await until(lambda: shown("unfinished_facts", state="owed") == 1)
        await redis.set(KEYS.account("lease", ACCOUNT), "somebody else")
        await until(lambda: math.isnan(shown("account_equity")))
        after = [shown(name, state="owed") for name in ("unfinished_facts", "unfinished_oldest_seconds")]

    assert after == [0, 0]


async def test_what_keeps_a_lane_from_its_work_is_told_until_it_works(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    await redis.hset(KEYS.account("state", ACCOUNT), "identity", "9@Elsewhere")
    async with running(valkey.url, simulator, account(), wait=False) as lane:
        await until(lambda: lane.meter.why != "")
        told = vitals_of(lane.meter, "away", NOW)
        await redis.hdel(KEYS.account("state", ACCOUNT), "identity")
        await until(lambda: lane.meter.why == "")

    assert "was 9@Elsewhere and the terminal is logged in as 1@Demo" in told.why
    assert "account repoint" in told.why


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.02)


async def test_a_slow_terminal_is_seen_in_its_stage_and_in_no_other(
    valkey: Valkey, redis: Redis, simulator: Simulator
) -> None:
    """Ten trades, every second one answered 300 ms late by the simulated terminal, through the real lane."""
    source = Source(redis)
    await source.open()
    async with running(valkey.url, simulator, account()) as lane:
        for number in range(10):
            if number % 2:
                simulator.goes_wrong(FaultKind.LATENCY, delay=300, execute=True)
            await source.buy(f"p{number}", "0.01")
            await ended(redis, number + 1)
        shown = Shown(lane.meter)

    def slow(stage: str) -> float:
        whole = shown("stage_seconds_bucket", stage=stage, le="+Inf")
        return whole - shown("stage_seconds_bucket", stage=stage, le="0.25")

    assert {stage: slow(stage) for stage in STAGES} == {
        "queue": 0, "decide": 0, "terminal": 5, "commit": 0, "end_to_end": 5,
    }  # fmt: skip
