"""The source's side alone: two ingests with a journal each, one owner at a time, the publish script, and polls.

The trader changes one position a few times, through the owner or unseen (a phone). A reader follows the newest
revision. It must end at the broker's total, must never be led back to an older one, and finds no gap and no double.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model import checker
from tests.model.checker import Step, progress
from tests.model.state import put


class Told(NamedTuple):
    """A fact in a journal: the position's revision by its teller, the total, and how many changes it has seen."""

    revision: int = 0
    total: int = 0
    seen: int = 0


class Published(NamedTuple):
    """A fact in the stream."""

    producer: int
    seq: int
    told: Told


class Ingest(NamedTuple):
    """`lease` is what Redis says, `owner` what the process believes. `journal` (on disk) holds the producer's facts,
    `cursor` counts those it holds for published. `call`: a trading request `asked`, or `taken` by the broker; its reply
    is awaited while `waiting`."""

    producer: int
    lease: bool = False
    owner: bool = False
    journal: tuple[Told, ...] = ()
    cursor: int = 0
    picture: Told = Told()
    call: str = ""
    waiting: bool = False


class State(NamedTuple):
    """`changes` made at the broker so far; `orphan`: the lease is held by a process that died."""

    changes: int
    stream: tuple[Published, ...]
    replica: tuple[Published, ...] | None
    ingests: tuple[Ingest, ...]
    orphan: bool
    producers: int
    faults: int


class Outbox:
    """The model for `checker.explore`. Switches for mutations: `return_to_gap`;
    `overtaken`: what an earlier ownership left unpublished is dropped when another has written since; `restate`: a new
    producer begins with the picture that it has taken over, so that it can be told again after a failover."""

    def __init__(
        self,
        totals: tuple[int, ...],
        faults: int,
        *,
        ingests: int = 2,
        return_to_gap: bool = True,
        overtaken: bool = True,
        restate: bool = True,
    ) -> None:
        self.totals = (0, *totals)
        self.faults = faults
        self.ingests = ingests
        self.return_to_gap = return_to_gap
        self.overtaken = overtaken
        self.restate = restate

    def start(self) -> State:
        """The first ingest is the owner."""
        rest = tuple(Ingest(producer) for producer in range(1, self.ingests))
        first = Ingest(0, lease=True, owner=True)
        return State(0, (), None, (first, *rest), orphan=False, producers=self.ingests, faults=self.faults)

    def steps(self, state: State) -> Iterator[Step[State]]:
        """All that can happen next."""
        if state.changes < len(self.totals) - 1:
            yield progress("the trader acts where nobody looks", state._replace(changes=state.changes + 1))
        if state.orphan:
            yield progress("the lease of a dead ingest lapses", state._replace(orphan=False))
        if state.replica is None and state.faults:
            yield checker.fault(
                "the replica falls behind", state._replace(replica=state.stream, faults=state.faults - 1)
            )
        if state.replica is not None:
            yield checker.fault("the replica becomes the server", state._replace(stream=state.replica, replica=None))
        for number, ingest in enumerate(state.ingests):
            for name, after, changes in self._ingest(state, ingest):
                ingests = put(state.ingests, number, after)
                new = state._replace(ingests=ingests, **changes)  # type: ignore[arg-type]
                yield Step(f"ingest {number} {name}", "faults" in changes, new)

    def _ingest(self, state: State, ingest: Ingest) -> Iterator[tuple[str, Ingest, dict[str, object]]]:
        if ingest.owner:
            yield from self._trade(state, ingest)
            yield from self._publish(state, ingest)
        elif not state.orphan and not any(other.lease for other in state.ingests):
            yield from self._own(state, ingest)
        if ingest.owner and state.faults:
            one_less: dict[str, object] = {"faults": state.faults - 1}
            yield "is paused, its lease lapses", ingest._replace(lease=False), one_less
            dead = ingest._replace(lease=False, owner=False, waiting=False)
            orphan = state.orphan or ingest.lease
            yield "crashes and starts again", dead, {**one_less, "orphan": orphan}
            if ingest.journal:
                torn = dead._replace(journal=ingest.journal[:-1])
                yield "crashes, its journal loses its tail", torn, {**one_less, "orphan": orphan}

    def _own(self, state: State, ingest: Ingest) -> Iterator[tuple[str, Ingest, dict[str, object]]]:
        last = _last(state.stream, ingest.producer)
        written = state.stream[-1] if state.stream else None
        mine = ingest._replace(lease=True, owner=True, cursor=min(last, len(ingest.journal)))
        torn = last > len(ingest.journal)
        if torn or (self.overtaken and written is not None and written.producer != ingest.producer):
            picture = written.told if written else Told()
            restated = (picture,) if picture.revision and self.restate else ()
            fresh = mine._replace(producer=state.producers, journal=restated, cursor=0, picture=picture)
            yield "takes ownership as a new producer", fresh, {"producers": state.producers + 1}
            return
        picture = max((*ingest.journal[-1:], *((written.told,) if written else ()), Told()))
        yield "takes ownership", mine._replace(picture=picture), {}

    def _trade(self, state: State, ingest: Ingest) -> Iterator[tuple[str, Ingest, dict[str, object]]]:
        if not ingest.call and state.changes < len(self.totals) - 1:
            yield "journals the trader's request", ingest._replace(call="asked", waiting=True), {}
        if ingest.call == "asked" and ingest.waiting and state.changes < len(self.totals) - 1:
            taken = ingest._replace(call="taken")
            yield "forwards it, the broker takes it", taken, {"changes": state.changes + 1}
        if ingest.call and ingest.waiting:
            if ingest.call == "taken":
                yield "journals the answer", self._tell(state, ingest), {}
            else:
                yield "sees the request fail", ingest._replace(call="", waiting=False), {}
        elif ingest.call or ingest.picture.total != self.totals[state.changes]:
            yield "polls", self._tell(state, ingest), {}

    def _tell(self, state: State, ingest: Ingest) -> Ingest:
        settled = ingest._replace(call="", waiting=False)
        total = self.totals[state.changes]
        if total == ingest.picture.total:
            return settled
        told = Told(ingest.picture.revision + 1, total, state.changes)
        return settled._replace(journal=(*ingest.journal, told), picture=told)

    def _publish(self, state: State, ingest: Ingest) -> Iterator[tuple[str, Ingest, dict[str, object]]]:
        last = _last(state.stream, ingest.producer)
        if not ingest.lease:
            yield "learns that it is not the owner", ingest._replace(owner=False), {}
        elif last < ingest.cursor and self.return_to_gap:
            yield f"sees that the server has {last} and returns", ingest._replace(cursor=last), {}
        elif ingest.cursor < len(ingest.journal):
            yield from self._send(state, ingest, last)

    def _send(self, state: State, ingest: Ingest, last: int) -> Iterator[tuple[str, Ingest, dict[str, object]]]:
        told, sent = ingest.journal[ingest.cursor], ingest._replace(cursor=ingest.cursor + 1)
        if ingest.cursor != last:
            yield "publishes: refused or known", sent, {}
            return
        stream = (*state.stream, Published(ingest.producer, last + 1, told))
        yield f"publishes revision {told.revision}, total {told.total}", sent, {"stream": stream}
        if state.faults:
            yield "publishes, the reply is lost", ingest, {"stream": stream, "faults": state.faults - 1}

    def broken(self, state: State) -> str | None:
        """A sequence with a gap or a double, or a reader that is led back to what was before."""
        for producer in {p.producer for p in state.stream}:
            seqs = [p.seq for p in state.stream if p.producer == producer]
            if seqs != list(range(1, len(seqs) + 1)):
                return f"producer {producer} has the sequence {seqs}"
        followed = Told()
        for told in (p.told for p in state.stream):
            if told.revision >= followed.revision and told.total != followed.total:
                if told.seen < followed.seen:
                    return f"a reader goes back from {followed} to {told}"
                followed = told
        return None

    def unfinished(self, state: State) -> str | None:
        """The reader's total is not the broker's."""
        followed = Told()
        for told in (p.told for p in state.stream):
            followed = told if told.revision >= followed.revision else followed
        if followed.total != self.totals[state.changes]:
            return f"lost: the broker shows {self.totals[state.changes]}, a reader follows {followed.total}"
        return None


def _last(stream: tuple[Published, ...], producer: int) -> int:
    return max((p.seq for p in stream if p.producer == producer), default=0)
