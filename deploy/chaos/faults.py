"""Pure: which faults there are, and from a seed, which of them happen when.

The kinds come from one deck that goes round from seed to seed, so that a handful of seeds meets every one of them.
"""

from random import Random

from msgspec import Struct

from ingest.outbox import POINTS as PROXY_POINTS

EXECUTOR_POINTS = ("read", "decided", "fenced", "called", "committed")
SOURCE_POINTS = ("asked", "answered", "published")
"""Of the scripted source; the real proxy, on a day, has its own."""
PROXY_CRASHES = tuple(f"proxy-dies-at-{point}" for point in PROXY_POINTS)

KILLS = (
    "kill-executor", "kill-child", "kill-terminal", "kill-archiver", "kill-redis", "kill-postgres", "kill-ingest",
    "kill-all",
)  # fmt: skip
PAUSES = ("pause-executor", *(f"pause-at-{point}" for point in EXECUTOR_POINTS))
CRASHES = tuple(f"die-at-{point}" for point in (*EXECUTOR_POINTS, *SOURCE_POINTS))
CUTS = ("cut-redis-executor", "cut-redis-ingest", "cut-redis-archiver", "cut-postgres", "redis-unreachable")
TERMINAL = (
    "slow", "none", "none-after-execution", "broken", "broken-after-execution", "hang", "hang-after-execution", "late",
    "dies-in-the-call", "market-closed", "requote", "no-positions-answer", "no-history-answer",
)  # fmt: skip

KINDS = (*KILLS, *PAUSES, *CRASHES, *CUTS, *TERMINAL)
PER_SEED = 12


class Fault(Struct, frozen=True, kw_only=True):
    """Something that goes wrong when the action `at` (counted from 0) is told. `nth` is how often a point is passed
    before.
    """

    at: int
    kind: str
    account: str
    nth: int


def schedule(seed: int, actions: int, accounts: tuple[str, ...], kinds: tuple[str, ...] = KINDS) -> list[Fault]:
    """The faults of one seed, by the time at which they happen."""
    random = Random(seed * 7919 + 1)
    start = seed * PER_SEED
    chosen = [kinds[i % len(kinds)] for i in range(start, start + PER_SEED)]
    random.shuffle(chosen)
    room = max(1, actions - 10)
    times = sorted(random.randrange(5, 5 + room) for _ in chosen)
    return [
        Fault(at=at, kind=kind, account=random.choice(accounts), nth=random.randint(1, 2))
        for at, kind in zip(times, chosen, strict=True)
    ]
