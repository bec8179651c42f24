"""Our wall clock against the Redis server's, so that times taken on two machines can be compared honestly.

All services of a namespace talk to one Redis; its clock is the common one. What a measurement cannot know is where
inside the round trip the server looked at its clock, so the offset is uncertain by half of it.
"""

import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

RESOLUTION_NS = 1_000
"""Redis tells its time in whole microseconds."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The server's wall clock minus ours, in nanoseconds, true to ± `uncertainty_ns`."""

    ns: int
    uncertainty_ns: int

    def to_server(self, ours_ns: int) -> int:
        """Our wall-clock time as the server would tell it."""
        return ours_ns + self.ns

    def to_ours(self, server_ns: int) -> int:
        """The server's time as our clock would tell it."""
        return server_ns - self.ns


def offset(sent_ns: int, round_trip_ns: int, server_ns: int) -> Offset:
    """From one question: our wall clock when it left, how long the answer took, and the answer (truncated to µs)."""
    halfway = sent_ns + round_trip_ns // 2
    middle_of_answer = server_ns + RESOLUTION_NS // 2
    return Offset(middle_of_answer - halfway, (round_trip_ns + RESOLUTION_NS + 1) // 2)


def best(offsets: Iterable[Offset]) -> Offset:
    """The most certain of several measurements. Raises ValueError without any."""
    return min(offsets, key=lambda each: each.uncertainty_ns)


class TellsTime(Protocol):
    """The one thing asked of a Redis client (`redis.asyncio.Redis` has it)."""

    def time(self) -> Awaitable[tuple[int, int]]:
        """The server's time as seconds and microseconds."""
        ...


async def measure(
    server: TellsTime,
    samples: int = 5,
    wall: Callable[[], int] = time.time_ns,
    steady: Callable[[], int] = time.perf_counter_ns,
) -> Offset:
    """Ask the server `samples` times, one after the other, and keep the best answer.

    The round trip is taken on the steady clock: a wall clock that is set in between must not shorten it.
    """
    return best([await _sample(server, wall, steady) for _ in range(samples)])


async def _sample(server: TellsTime, wall: Callable[[], int], steady: Callable[[], int]) -> Offset:
    sent, started = wall(), steady()
    seconds, microseconds = await server.time()
    return offset(sent, steady() - started, seconds * 1_000_000_000 + microseconds * 1_000)
