"""A trial's times keep the ratios of what is shipped, and say so."""

import pytest

from deploy.chaos.timing import SCALE, Timing, shipped
from executor.settings import Account, Settings

NAMES = ("window", "deadline", "grace")


def default(section: type[Settings] | type[Account], name: str) -> float:
    required = len(section.__struct_fields__) - len(section.__struct_defaults__)
    value: float = section.__struct_defaults__[section.__struct_fields__.index(name) - required]
    return value


def test_what_is_shipped_is_read_from_the_executors_settings() -> None:
    timing = shipped()

    assert timing.lease == default(Settings, "lease")
    assert {name: getattr(timing, name) for name in NAMES} == {name: default(Account, name) for name in NAMES}


def test_faster_times_keep_every_ratio_to_the_lease() -> None:
    timing, faster = shipped(), shipped().over(7.0)

    assert faster.lease == timing.lease / 7.0
    for name in NAMES:
        assert getattr(faster, name) / faster.lease == pytest.approx(getattr(timing, name) / timing.lease)


def test_the_trials_lease_is_not_below_the_second_that_the_settings_demand() -> None:
    assert shipped().over(SCALE).lease >= 1.0


def test_the_times_are_told_in_seconds_and_in_leases() -> None:
    timing = Timing(lease=2.0, window=1.0, deadline=6.0, grace=9.0)

    assert timing.line == (
        "lease 2 s (1 leases), window 1 s (0.5 leases), deadline 6 s (3 leases), grace 9 s (4.5 leases)"
    )
