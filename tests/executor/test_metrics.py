"""The executor says of each lane what it is, and when all of them work."""

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from executor.metrics import Metrics


def shown(registry: CollectorRegistry, account: str) -> dict[str, float]:
    samples = (s for metric in registry.collect() for s in metric.samples if s.name == "tradecopier_lane")
    return {s.labels["condition"]: s.value for s in samples if s.labels["account"] == account}


def test_every_condition_of_every_lane_is_there_from_the_start() -> None:
    registry = CollectorRegistry()

    Metrics(registry, ["a", "b"])

    first = {"starting": 1, "active": 0, "standby": 0, "away": 0, "lost": 0, "removed": 0}
    assert shown(registry, "a") == shown(registry, "b") == first


def test_whom_an_account_follows_is_there() -> None:
    registry = CollectorRegistry()

    Metrics(registry, ["a"]).follows("a", ["demo", "other"])

    for source in ("demo", "other"):
        assert registry.get_sample_value("tradecopier_follows", {"account": "a", "source": source}) == 1


def test_a_lane_is_one_thing_at_a_time() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, ["a"])

    metrics.lane("a", "standby")
    metrics.lane("a", "active")

    assert [condition for condition, value in shown(registry, "a").items() if value] == ["active"]


def test_what_does_not_work_is_a_complaint() -> None:
    metrics = Metrics(CollectorRegistry(), ["a", "b", "c"])
    metrics.lane("a", "standby")
    metrics.lane("b", "away")

    assert metrics.complaints() == ["account b is away", "account c is starting"]


def test_only_what_is_new_of_a_lane_is_news() -> None:
    metrics = Metrics(CollectorRegistry(), ["a"])
    assert metrics.moved.is_set()

    for condition, is_news in (("starting", False), ("standby", True), ("standby", False), ("active", True)):
        metrics.moved.clear()
        metrics.lane("a", condition)
        assert metrics.moved.is_set() == is_news


async def test_it_has_settled_when_no_lane_is_away() -> None:
    metrics = Metrics(CollectorRegistry(), ["a", "b"])
    metrics.lane("a", "active")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(metrics.all_settled(), 0)

    metrics.lane("b", "away")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(metrics.all_settled(), 0)
    metrics.lane("b", "standby")

    await asyncio.wait_for(metrics.all_settled(), 1)
