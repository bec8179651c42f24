"""Every metric that a service defines, as Prometheus sees it, and the catalogue that is generated from it.

The services' metrics are made in registries of their own, with one account or source each, so what is listed is what is
exported: a metric that is renamed is renamed here, in the catalogue and in the check of dashboards and alerts.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

from redis.asyncio import Redis

from archiver.metrics import Metrics as ArchiverMetrics
from executor.metrics import Metrics as ExecutorMetrics
from executor.pulse import Pulse
from ingest.metrics import Metrics as IngestMetrics
from shared.metrics import Definition, Registry, new_registry
from shared.streams import Keys

PROCESS = ("process_cpu_seconds_total", "process_resident_memory_bytes", "process_open_fds", "process_max_fds")
"""What every process exports beside ours."""

HEAD = """# Metrics

Generated from the code by `python -m deploy.definitions`; a test holds the two together. Every service serves
`/metrics` and `/healthz` on an address of its own (`metrics` in its section of the settings). All names begin with
`tradecopier_`, durations are in seconds, and labels come from closed sets: never an id, never a symbol.

The stages of a trade's way (`tradecopier_stage_seconds`), each measured where both of its ends are known:

| stage | from | to | shown by |
|---|---|---|---|
| `observe` | the trader's request came in | the broker's reply had passed us (captured) | ingest |
| `publish` | captured | the entry's time on the Redis server | ingest |
| `queue` | the entry's time on the Redis server | the lane has read it | executor |
| `decide` | read | MetaTrader 5 is called first, or the outcome stands | executor |
| `terminal` | first call | last answer | executor |
| `commit` | last answer | the commit's reply | executor |
| `end_to_end` | captured | the commit's reply | executor |
| `archive` | the outcome's time on the Redis server | stored in PostgreSQL | archiver |

A fact that was parked or owed counts in `end_to_end` alone. Entry times are whole milliseconds, so `publish` and
`queue` are true to one.
"""


def services() -> Mapping[str, Sequence[Definition]]:
    """Definitions by service."""
    return {"ingest": _ingest(), "executor": _executor(), "archiver": _archiver()}


def definitions() -> dict[str, Definition]:
    """Definitions by name. One that several services share has the labels of all of them."""
    found: dict[str, Definition] = {}
    for each in services().values():
        for one in each:
            known = found.get(one.name, one)
            labels = tuple(dict.fromkeys((*known.labels, *one.labels)))
            found[one.name] = Definition(
                name=one.name, kind=one.kind, labels=labels, text=one.text, buckets=one.buckets
            )
    return found


def series() -> dict[str, frozenset[str]]:
    """The labels of every series by its name, without those that Prometheus adds (`job`, `instance`)."""
    found = {name: frozenset[str]() for name in PROCESS}
    for one in definitions().values():
        for name in one.series:
            found[name] = frozenset(one.labels) | ({"le"} if name.endswith("_bucket") else set())
    return found


def catalogue() -> str:
    """The document."""
    return "\n".join((HEAD, *_tables()))


def _tables() -> Iterator[str]:
    for service, found in services().items():
        yield f"## {service}\n"
        yield "| metric | kind | labels | meaning |"
        yield "|---|---|---|---|"
        for one in sorted(found, key=lambda d: d.name):
            yield f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.text} |"
        yield ""


def _ingest() -> list[Definition]:
    registry = new_registry("ingest")
    IngestMetrics(registry)
    return registry.definitions


def _executor() -> list[Definition]:
    registry: Registry = new_registry("executor")
    watcher = ExecutorMetrics(registry, ["main"])
    Pulse(registry, watcher, cast(Redis, None), Keys("main"), (), _epoch)  # asks Redis nothing before it runs
    return registry.definitions


def _archiver() -> list[Definition]:
    registry = new_registry("archiver")
    ArchiverMetrics(registry, _epoch)
    return registry.definitions


def _epoch() -> datetime:
    return datetime.fromtimestamp(0, UTC)


if __name__ == "__main__":
    print(catalogue(), end="")
