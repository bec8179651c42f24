"""What ingest tells Prometheus: what was captured, what waits, how long publishing takes, and what is wrong."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest.calls import NoteKind
from ingest.outbox import Outbox
from shared.facts import Fact
from shared.metrics import counter, gauge, histogram, stage_seconds
from shared.wire import entry_time

HOOKS = ("request", "responseheaders", "response", "stream", "error", "websocket_message", "beside")
"""The tap's, and what it does beside them. A count that begins at 1 was never seen to rise: no alert tells of it."""
WAITING = ("request", "response")
"""Those that wait for the disk."""
BESIDE = "Time that what the tap puts off took, when a request or a reply has passed."
SURPRISES = "Surprises inside the tap; each is logged."
UNJOURNALED = "Trading calls that a hung disk did not have in time."
RENEWALS = ("taken-over", "no-outbox", "ahead", "conflict")
"""Why a source gets a new producer."""
CLASSES = 100
"""So many classes of unknown traffic are counted by name; a broker with ids in odd places must not fill our memory."""


class _Children(dict[tuple[str, ...], Any]):
    """A metric's children by their labels: to ask the library each time costs more than to count."""

    def __init__(self, metric: Counter | Gauge | Histogram) -> None:
        super().__init__()
        self._metric = metric

    def __missing__(self, labels: tuple[str, ...]) -> Any:
        child = self[labels] = self._metric.labels(*labels)
        return child


class Metrics:
    """The metrics of one ingest, in the registry that is given."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        source = ("source",)
        self._facts = _Children(counter(registry, "ingest_facts", "Facts captured.", ("source", "kind")))
        self._notes = _Children(
            counter(registry, "ingest_notes", "What was seen and is no fact, by class.", ("source", "note"))
        )
        self._unknown = counter(
            registry, "ingest_unknown_traffic", "Traffic that matches no known endpoint, by class.", ("source", "path")
        )
        self._classes: set[str] = set()
        self._waiting = gauge(registry, "ingest_waiting_facts", "Facts on disk that are not in the stream yet.", source)
        self._unwritten = gauge(registry, "ingest_unwritten_records", "Records that a full or hung disk keeps waiting.")
        self._publish = histogram(registry, "ingest_publish_seconds", "From capture to the orders stream.", source)
        self._stages = _Children(stage_seconds(registry, source))
        self._hook = _Children(
            histogram(registry, "ingest_hook_seconds", "Time that the tap holds up a request or a reply.", ("hook",))
        )
        self._beside = histogram(registry, "ingest_beside_seconds", BESIDE)
        self._failures = counter(registry, "ingest_hook_failures", SURPRISES, ("hook",))
        self._unjournaled = counter(registry, "ingest_unjournaled_calls", UNJOURNALED, ("hook",))
        self._rewinds = counter(registry, "ingest_rewinds", "Times that the stream had lost facts of ours.", source)
        self._renewals = counter(
            registry, "ingest_new_producers", "Times that the outbox was out of step.", ("source", "reason")
        )
        self._overtaken = counter(
            registry, "ingest_overtaken_facts", "Facts that another ingest has told meanwhile.", source
        )
        self._redis = gauge(registry, "ingest_redis_up", "Whether Redis takes the facts of the source.", source)
        self._owned = gauge(
            registry, "ingest_owned", "Whether this ingest owns the source and opens its traffic.", source
        )
        self.polls: dict[str, datetime] = {}
        self._poll = _Children(
            gauge(registry, "ingest_last_poll_timestamp_seconds", "When the source's last good poll came.", source)
        )
        self._age = gauge(registry, "ingest_poll_age_seconds", "How old the source's last good poll is.", source)
        said = "1 while something is open or asked for at the source, and no good poll tells of it."
        self._blind = gauge(registry, "ingest_blind", said, source)
        said = "What keeps trades from being told: nobody knows how positions are counted, or in which unit."
        self._held_back = gauge(registry, "ingest_held_back", said, source)
        self._untold = gauge(
            registry, "ingest_untold", "What happened and nobody could be told, as `ingest untold` lists it.", source
        )

    def published(self, fact: Fact, now: datetime) -> None:
        """A fact is in the stream since `now`."""
        self._publish.labels(fact.source).observe(max(0.0, (now - fact.captured).total_seconds()))

    def entered(self, fact: Fact, entry: str) -> None:
        """A fact is in the stream as `entry`; its id says since when."""
        waited = (entry_time(entry) - fact.captured).total_seconds()
        self._stages["publish", fact.source].observe(max(0.0, waited))

    def captured(self, fact: Fact) -> None:
        """A fact was made."""
        if fact.asked is not None:
            took = (fact.captured - fact.asked).total_seconds()
            self._stages["observe", fact.source].observe(max(0.0, took))
        self._facts[fact.source, str(fact.__struct_config__.tag)].inc()

    def noted(self, source: str, note: str) -> None:
        """Something was seen that is no fact."""
        self._notes[source, note].inc()

    def unknown(self, source: str, path_class: str) -> bool:
        """Traffic of a class that nobody knows was seen; whether it is the first of its class."""
        if path_class in self._classes:
            self._unknown.labels(source, path_class).inc()
            return False
        is_room = len(self._classes) < CLASSES
        if is_room:
            self._classes.add(path_class)
        self._unknown.labels(source, path_class if is_room else "more").inc()
        return is_room

    def polled(self, source: str, polls: Iterable[datetime]) -> None:
        """When the newest good polls of the source came, one time for each kind of poll."""
        for at in polls:
            self._poll[source,].set(at.timestamp())
            self.polls[source] = at

    def hooked(self, hook: str, seconds: float) -> None:
        """A hook of the tap took that long."""
        self._hook[hook,].observe(seconds)

    def worked(self, seconds: float) -> None:
        """What was put off in hooks of the tap took that long."""
        self._beside.observe(seconds)

    def failed(self, hook: str) -> None:
        """A hook of the tap met a surprise."""
        self._failures.labels(hook).inc()

    def unjournaled(self, hook: str) -> None:
        """A trading call went on, or its reply passed, before it was on disk."""
        self._unjournaled.labels(hook).inc()

    def rewound(self, source: str) -> None:
        """The stream had lost facts of the source."""
        self._rewinds.labels(source).inc()

    def renewed(self, source: str, reason: str) -> None:
        """The source has a new producer."""
        self._renewals.labels(source, reason).inc()

    def overtook(self, source: str, count: int) -> None:
        """So many facts of the source wait no more: another ingest has told what became of them."""
        self._overtaken.labels(source).inc(count)

    def reachable(self, source: str, *, up: bool) -> None:
        """Whether Redis takes the source's facts."""
        self._redis.labels(source).set(up)

    def owned(self, source: str, *, ours: bool) -> None:
        """Whether the source is ours."""
        self._owned.labels(source).set(ours)

    def watch_age(self, source: str, age: Callable[[], float]) -> None:
        """Show how old the last good poll of a source is, whenever somebody asks; NaN as long as there was none."""
        self._age.labels(source).set_function(age)

    def watch_blind(self, source: str, is_blind: Callable[[], bool]) -> None:
        """Show whether a source is blind, whenever somebody asks."""
        self._blind.labels(source).set_function(is_blind)

    def watch_held_back(self, source: str, found: Callable[[], Sequence[str]]) -> None:
        """Show how many things keep trades of a source from being told, whenever somebody asks."""
        self._held_back.labels(source).set_function(lambda: len(found()))

    def watch_untold(self, source: str, count: Callable[[], int]) -> None:
        """Show how much of a source is listed for the operator, whenever somebody asks."""
        self._untold.labels(source).set_function(count)

    def watch(self, outbox: Outbox) -> None:
        """Show what waits in the outbox whenever somebody asks; every series of its sources exists from now on."""
        for name in outbox.producers:
            self._children(name)
        for hook in HOOKS:
            self._failures.labels(hook)
        for hook in WAITING:
            self._unjournaled.labels(hook)
        self._unwritten.set_function(lambda: outbox.journal.stuck)
        for name, producer in outbox.producers.items():
            self._waiting.labels(name).set_function(lambda p=producer: len(p.waiting))  # type: ignore[misc]

    def _children(self, source: str) -> None:
        for kind in get_args(Fact):
            _ = self._facts[source, str(kind.__struct_config__.tag)]
        for note in get_args(NoteKind):
            _ = self._notes[source, note]
        for stage in ("observe", "publish"):
            _ = self._stages[stage, source]
        for reason in RENEWALS:
            self._renewals.labels(source, reason)
        self._rewinds.labels(source)
        self._overtaken.labels(source)
