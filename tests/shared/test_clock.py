"""The offset between two clocks is never claimed to be more certain than it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from deploy.embedded import Valkey
from shared.clock import Offset, best, measure, offset

times = st.integers(min_value=0, max_value=2**62)
delays = st.integers(min_value=0, max_value=10**10)


@given(ours=times, true_offset=st.integers(-(10**15), 10**15), there=delays, back=delays)
def test_the_true_offset_lies_within_the_uncertainty(ours: int, true_offset: int, there: int, back: int) -> None:
    server_exact = ours + there + true_offset
    told = server_exact // 1_000 * 1_000  # the server tells whole microseconds
    found = offset(ours, there + back, told)
    assert abs(found.ns - true_offset) <= found.uncertainty_ns
    assert found.uncertainty_ns <= (there + back) / 2 + 1_001


@given(ns=st.integers(-(10**15), 10**15), time=times)
def test_there_and_back_is_where_it_was(ns: int, time: int) -> None:
    there = Offset(ns, 1)
    assert there.to_ours(there.to_server(time)) == time


def test_the_most_certain_measurement_counts() -> None:
    assert best([Offset(5, 30), Offset(7, 10), Offset(1, 20)]) == Offset(7, 10)
    with pytest.raises(ValueError, match="empty"):
        best([])


async def test_a_server_on_this_machine_has_our_time(valkey: Valkey) -> None:
    redis = Redis.from_url(valkey.url)
    found = await measure(redis)
    await redis.aclose()
    assert abs(found.ns) <= found.uncertainty_ns < 1_000_000_000


async def test_a_wall_clock_that_is_set_during_the_question_does_not_look_like_a_short_round_trip() -> None:
    class Server:
        async def time(self) -> tuple[int, int]:
            return 1_000, 0

    steady = iter([0, 4_000_000])
    found = await measure(Server(), samples=1, wall=lambda: 990_000_000_000, steady=lambda: next(steady))
    assert found.uncertainty_ns == 2_000_500
    assert abs(found.ns - 10_000_000_000) <= found.uncertainty_ns
