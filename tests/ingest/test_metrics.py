import re
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from ingest import tap
from ingest.metrics import WAITING, Metrics
from ingest.outbox import Outbox
from ingest.succession import WHY
from tests.ingest.samples import START, fact
from tests.ingest.test_segments import room_for


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    return registry.get_sample_value(f"tradecopier_ingest_{name}", labels)


def test_what_waits_is_read_from_the_outbox_when_somebody_asks(registry: CollectorRegistry, tmp_path: Path) -> None:
    outbox = Outbox(tmp_path, ["demo", "other"], fresh=lambda name: f"{name}-1")
    Metrics(registry).watch(outbox)
    assert value(registry, "waiting_facts", source="demo") == 0
    outbox.answer("demo", facts=(fact(1), fact(2)))
    assert value(registry, "waiting_facts", source="demo") == 2
    assert value(registry, "waiting_facts", source="other") == 0
    assert outbox.journal.flushed(60)
    with room_for(10):
        outbox.published("demo", 1)
        assert outbox.journal.flushed(60)
    assert value(registry, "waiting_facts", source="demo") == 1
    assert value(registry, "unwritten_records") == 1
    assert {value(registry, "unjournaled_calls_total", hook=hook) for hook in WAITING} == {0}
    outbox.close()


def test_facts_are_counted_by_source_and_kind(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)
    metrics.captured(fact(1))
    metrics.captured(fact(2))
    assert value(registry, "facts_total", source="demo", kind="order.placed") == 2


def test_the_newest_good_poll_is_a_time(registry: CollectorRegistry) -> None:
    Metrics(registry).polled("demo", [START, START + timedelta(seconds=2)])
    assert value(registry, "last_poll_timestamp_seconds", source="demo") == START.timestamp() + 2


def test_whether_a_source_is_blind_is_asked_when_somebody_looks(registry: CollectorRegistry) -> None:
    is_blind = [False]
    Metrics(registry).watch_blind("demo", lambda: is_blind[0])
    assert value(registry, "blind", source="demo") == 0
    is_blind[0] = True
    assert value(registry, "blind", source="demo") == 1


def test_the_time_until_publishing_counts_from_the_capture(registry: CollectorRegistry) -> None:
    Metrics(registry).published(fact(1), START + timedelta(seconds=1, milliseconds=20))
    assert value(registry, "publish_seconds_sum", source="demo") == pytest.approx(0.02)


def test_what_a_stage_took_lands_in_that_stage(registry: CollectorRegistry) -> None:
    """`observe` from the trader's request to the capture, `publish` from there to the server's time of the entry."""
    metrics, asked = Metrics(registry), START - timedelta(milliseconds=700)
    captured = replace(fact(1), captured=START, asked=asked)
    metrics.captured(captured)
    metrics.entered(captured, f"{int(START.timestamp() * 1000) + 40}-0")

    def took(stage: str) -> float | None:
        return registry.get_sample_value("tradecopier_stage_seconds_sum", {"stage": stage, "source": "demo"})

    assert took("observe") == pytest.approx(0.7)
    assert took("publish") == pytest.approx(0.04)


def test_a_clock_behind_the_servers_gives_no_negative_time(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)
    metrics.entered(fact(1), "1-0")
    assert registry.get_sample_value("tradecopier_stage_seconds_sum", {"stage": "publish", "source": "demo"}) == 0


def test_states_are_1_or_0(registry: CollectorRegistry) -> None:
    metrics = Metrics(registry)
    metrics.owned("demo", ours=True)
    metrics.reachable("demo", up=False)
    assert (value(registry, "owned", source="demo"), value(registry, "redis_up", source="demo")) == (1, 0)


def test_every_metric_can_be_scraped_before_anything_has_happened(registry: CollectorRegistry) -> None:
    Metrics(registry)
    names = {metric.name for metric in registry.collect()}
    assert {"tradecopier_ingest_facts", "tradecopier_ingest_waiting_facts", "tradecopier_ingest_hook_seconds"} <= names


def test_unknown_traffic_is_counted_by_class_and_the_first_of_a_class_is_news(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.metrics.CLASSES", 2)
    metrics = Metrics(registry)
    seen = [metrics.unknown("demo", path) for path in ("GET /a", "GET /b", "GET /a", "GET /c", "GET /d")]
    assert seen == [True, True, False, False, False]
    assert value(registry, "unknown_traffic_total", source="demo", path="GET /a") == 2
    assert value(registry, "unknown_traffic_total", source="demo", path="more") == 2


def test_the_age_of_the_last_poll_is_asked_for_when_somebody_looks(registry: CollectorRegistry) -> None:
    ages = iter([1.5, 2.5])
    Metrics(registry).watch_age("demo", lambda: next(ages))
    assert [value(registry, "poll_age_seconds", source="demo") for _ in range(2)] == [1.5, 2.5]


def test_what_may_happen_once_is_a_series_before_it_happens(registry: CollectorRegistry, tmp_path: Path) -> None:
    """An increase is only seen of what was there before: the first surprise would pass in silence."""
    with closing(Outbox(tmp_path, ["demo"], fresh=lambda name: f"{name}-1")) as outbox:
        Metrics(registry).watch(outbox)
    hooks = re.findall(r'_(?:guarded|surprised)\("(\w+)"', Path(tap.__file__).read_text(encoding="utf-8"))
    assert {"request", "beside"} <= {*hooks}
    assert {value(registry, "hook_failures_total", hook=hook) for hook in hooks} == {0}
    assert {value(registry, "new_producers_total", source="demo", reason=reason) for reason in WHY} == {0}
