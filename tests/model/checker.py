"""A small explicit-state model checker: breadth-first over immutable states, with the shortest trace to what is wrong.

A model says where it starts, what can happen next (each step is either progress or a fault), what is broken in a
state, and what is unfinished in a state where nothing but faults can still happen. Checked are: no reachable state is
broken, no settled state is unfinished, and from every state the model can settle once the faults stop.
"""

import gc
from collections import deque
from collections.abc import Hashable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, NamedTuple, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


class Step(NamedTuple, Generic[S]):
    """Something that can happen: its name for the trace, whether it is a fault, and the state after it."""

    name: str
    fault: bool
    state: S


def progress(name: str, state: S) -> Step[S]:
    """A step that is bound to happen in the end, unless another one prevents it."""
    return Step(name, fault=False, state=state)


def fault(name: str, state: S) -> Step[S]:
    """A step that may never happen."""
    return Step(name, fault=True, state=state)


class Model(Protocol[S]):
    """What the checker asks. States must be immutable and hashable."""

    def start(self) -> S:
        """The first state."""

    def steps(self, state: S, /) -> Iterable[Step[S]]:
        """Everything that can happen next; a step that changes nothing is ignored."""

    def broken(self, state: S, /) -> str | None:
        """What must never be so, and is."""

    def unfinished(self, state: S, /) -> str | None:
        """What is missing in a state in which only faults can still happen."""


class Report(NamedTuple):
    """How much was explored. `settled` counts the states in which only faults can still happen."""

    states: int
    transitions: int
    settled: int
    depth: int


class Counterexample(Exception):
    """A reachable state that is wrong; `trace` names the steps that lead to it, the shortest way."""

    def __init__(self, why: str, trace: list[str], state: object, explored: int) -> None:
        self.why = why
        self.trace = trace
        self.explored = explored
        numbered = "\n".join(f"  {i:2}. {name}" for i, name in enumerate(trace, 1))
        super().__init__(f"{why} (found after {explored} states)\n{numbered}\n  state: {state!r}")


class _Search(Generic[S]):
    def __init__(self, model: Model[S]) -> None:
        self.model = model
        self.states: list[S] = []
        self.number: dict[S, int] = {}
        self.parent: list[tuple[int, str]] = []
        self.depth: list[int] = []
        self.calm_into: list[list[int]] = []
        self.settled: list[int] = []
        self.transitions = 0

    def add(self, state: S, parent: int, name: str) -> int:
        new = len(self.states)
        known = self.number.setdefault(state, new)
        if known != new:
            return known
        self.states.append(state)
        self.parent.append((parent, name))
        self.depth.append(self.depth[parent] + 1 if parent >= 0 else 0)
        self.calm_into.append([])
        if (why := self.model.broken(state)) is not None:
            raise self.counterexample(why, new)
        return new

    def counterexample(self, why: str, at: int) -> Counterexample:
        trace, i = [], at
        while i > 0:
            i, name = self.parent[i]
            trace.append(name)
        return Counterexample(why, trace[::-1], self.states[at], len(self.states))

    def expand(self, i: int) -> None:
        calm = False
        for name, is_fault, state in self.model.steps(self.states[i]):
            self.transitions += 1
            to = self.add(state, i, name)
            if not is_fault and to != i:
                calm = True
                self.calm_into[to].append(i)
        if not calm:
            self.settled.append(i)
            if (why := self.model.unfinished(self.states[i])) is not None:
                raise self.counterexample(why, i)

    def check_that_all_can_settle(self) -> None:
        reached = set(self.settled)
        queue = deque(self.settled)
        while queue:
            for i in self.calm_into[queue.popleft()]:
                if i not in reached:
                    reached.add(i)
                    queue.append(i)
        stuck = next((i for i in range(len(self.states)) if i not in reached), None)
        if stuck is not None:
            raise self.counterexample("never settles, though the faults have stopped", stuck)


def explore(model: Model[S], limit: int = 1_000_000) -> Report:
    """Visit every reachable state. Raises Counterexample, or RuntimeError when there are more states than `limit`."""
    search = _Search(model)
    search.add(model.start(), -1, "")
    with _without_collector():
        _visit(search, limit)
        search.check_that_all_can_settle()
    return Report(len(search.states), search.transitions, len(search.settled), max(search.depth))


def _visit(search: _Search[S], limit: int) -> None:
    i = 0
    while i < len(search.states):
        search.expand(i)
        i += 1
        if i > limit:
            raise RuntimeError(f"more than {limit} states: choose a smaller configuration")


@contextmanager
def _without_collector() -> Iterator[None]:
    """The states hold no cycles, and looking for some again and again takes longer than the search itself."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
