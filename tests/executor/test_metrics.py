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

    assert shown(registry, "a") == shown(registry, "b") == {"active": 0, "standby": 0, "away": 1, "lost": 0}


def test_a_lane_is_one_thing_at_a_time() -> None:
    registry = CollectorRegistry()
    metrics = Metrics(registry, ["a"])

    metrics.lane("a", "standby")
    metrics.lane("a", "active")

    assert shown(registry, "a") == {"active": 1, "standby": 0, "away": 0, "lost": 0}


def test_what_is_away_is_a_complaint() -> None:
    metrics = Metrics(CollectorRegistry(), ["a", "b"])
    metrics.lane("a", "standby")

    assert metrics.complaints() == ["account b is away"]


async def test_it_has_settled_when_no_lane_is_away() -> None:
    metrics = Metrics(CollectorRegistry(), ["a", "b"])
    metrics.lane("a", "active")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(metrics.all_settled(), 0)

    metrics.lane("b", "standby")

    await asyncio.wait_for(metrics.all_settled(), 1)
