"""Pure: what the trials found, as lines for a person."""

from collections import Counter
from collections.abc import Iterator, Sequence

from deploy.chaos.faults import EXECUTOR_POINTS, PROXY_CRASHES, SOURCE_POINTS
from deploy.chaos.trial import Result

POINTS = (
    *(f"die-at-{point}" for point in (*EXECUTOR_POINTS, *SOURCE_POINTS)),
    *(f"pause-at-{point}" for point in EXECUTOR_POINTS),
)
ALL_POINTS = (*POINTS, *PROXY_CRASHES)
SHOWN = 8
ENOUGH, ENOUGH_DAYS = 10, 20
"""So many seeds have to come to every point, and so many to each of the proxy too, which only days have."""


def trial_line(result: Result) -> str:
    """One trial in a line."""
    verdict = "ok" if result.good else "FAILED"
    faults = sum(result.faults.values())
    return f"seed {result.seed}: {verdict}, {result.actions} actions, {faults} faults, {result.seconds:.0f} s"


def failure_lines(result: Result) -> Iterator[str]:
    """What was wrong in a trial, and how to see it again."""
    for finding in result.findings[:SHOWN]:
        yield f"    {finding.fault}: {finding.text}"
    if len(result.findings) > SHOWN:
        yield f"    … and {len(result.findings) - SHOWN} more"
    yield f"    again: tradecopier chaos --seed {result.seed}"


def summary(results: Sequence[Result]) -> Iterator[str]:
    """All trials together."""
    faults = _sum([r.faults for r in results])
    reached = _sum([r.reached for r in results])
    ends = _sum([r.ends for r in results])
    found = Counter(f.fault for r in results for f in r.findings)
    yield "faults by kind: " + ", ".join(f"{kind} {count}" for kind, count in sorted(faults.items()))
    yield "points hit: " + ", ".join(f"{p.replace('-', ' ')} {reached.get(p, 0)}" for p in ALL_POINTS)
    yield "outcomes: " + ", ".join(f"{end} {count}" for end, count in ends.most_common())
    yield (
        f"{len(results)} seeds, {sum(r.actions for r in results)} actions, {sum(faults.values())} faults: "
        + ", ".join(f"{name} {found[name]}" for name in ("lost", "silent", "doubled", "unresolved", "wrong"))
    )
    if doubles := sum(r.doubles for r in results):
        yield f"apart from these: {doubles} doubles by a pause inside the vendor's call, each found and closed"
    if points := missed(results):
        yield f"NOT hit: {', '.join(points)}"
    failed = [str(r.seed) for r in results if not r.good]
    if failed:
        yield f"FAILED seeds: {', '.join(failed)}"


def missed(results: Sequence[Result]) -> list[str]:
    """The points that no trial came to, when there were enough trials to come to all of them."""
    reached = _sum([r.reached for r in results])
    wanted = ALL_POINTS if len(results) >= ENOUGH_DAYS else POINTS if len(results) >= ENOUGH else ()
    return [point for point in wanted if not reached[point]]


def _sum(counts: Sequence[dict[str, int]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return total
