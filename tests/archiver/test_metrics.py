"""The archiver's metrics say what happened to each stream."""

import re
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry

import archiver.rows
from archiver.headroom import DAY_MS, Usage
from archiver.intake import REFUSED
from archiver.metrics import Metrics
from archiver.trim import Cut
from shared import outcomes
from tests.archiver.entries import fact, judged, later, outcome, rows


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(f"tradecopier_archive_{name}", labels)


def test_what_is_stored_is_counted_and_timed() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: later(2))
    metrics.stored("orders", rows([fact(1), fact(2)]), 0.004)
    assert value(metrics, "rows_total", stream="orders") == 2
    assert value(metrics, "age_seconds_count", stream="orders") == 1
    assert value(metrics, "age_seconds_sum", stream="orders") == pytest.approx(2, abs=0.01)
    assert value(metrics, "save_seconds_sum", stream="orders") == 0.004


def test_what_is_not_stored_is_counted_too() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: later(2))
    metrics.buried("orders", "malformed")
    metrics.held("orders", 3)
    metrics.up("orders", False)
    assert value(metrics, "dead_letters_total", stream="orders", reason="malformed") == 1
    assert value(metrics, "held_entries", stream="orders") == 3
    assert value(metrics, "up", stream="orders") == 0


def test_a_group_that_holds_the_trim_is_named_until_it_does_not() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: later(2))
    metrics.trimmed({"orders": Cut("1-0", "one"), "outcomes": Cut("1-0")})
    assert value(metrics, "trim_held", stream="orders", group="one") == 1
    metrics.trimmed({"orders": Cut("2-0")})
    assert value(metrics, "trim_held", stream="orders", group="one") is None


def test_the_room_that_is_left_is_shown_and_is_no_number_while_nothing_grows() -> None:
    metrics = Metrics(CollectorRegistry(), lambda: later(2))
    metrics.measured(Usage(facts=10, bytes=20_000, span_ms=DAY_MS, used=0, limit=200_000))
    assert value(metrics, "bytes_per_fact") == 2000
    assert value(metrics, "headroom_days") == 10
    metrics.measured(Usage(facts=0, bytes=0, span_ms=0, used=0, limit=200_000))
    assert str(value(metrics, "headroom_days")) == "nan"


def test_each_reason_of_a_dead_letter_is_a_series_before_the_first_one() -> None:
    """An increase is only seen of what was there before."""
    metrics = Metrics(CollectorRegistry(), lambda: later(2))
    reasons = re.findall(r'Unreadable\("([\w-]+)"', Path(archiver.rows.__file__).read_text(encoding="utf-8"))
    assert reasons
    for reason in (*reasons, REFUSED):
        assert value(metrics, "dead_letters_total", stream="orders", reason=reason) == 0


def test_the_stage_counts_each_end_by_its_own_age_and_nothing_else() -> None:
    metrics, ended = Metrics(CollectorRegistry(), lambda: later(2)), outcome(fact(1), account="two")
    early = msgspec.structs.replace(judged(ended), published=later(0.5))
    deal = outcomes.Deal(
        account="one", deal=1, order=1, position=1, symbol="EURUSD", side="buy", entry="in", volume=D("0.1"),
        price=D("1.1"), time=later(0), seen=later(0),
    )  # fmt: skip
    state = outcomes.Pending(fact="f", account="one", state="owed", since=later(0))
    late = msgspec.structs.replace(judged(outcome(fact(1))), published=later(1.75))
    metrics.stored("outcomes", [early, judged(deal), judged(state), late], 0.01)
    counted = {
        bound: metrics.registry.get_sample_value("tradecopier_stage_seconds_bucket", {"stage": "archive", "le": bound})
        for bound in ("0.1", "0.25", "1.0", "2.5")
    }
    assert counted == {"0.1": 0, "0.25": 1, "1.0": 1, "2.5": 2}
