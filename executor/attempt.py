"""What is known of one attempt to follow a fact, or to pay a debt, while it is under way."""

from dataclasses import dataclass, field
from datetime import datetime

from executor import report
from executor.change import Work
from executor.netting import crosses
from executor.reasons import Denied, Reason
from executor.results import Done, Skipped, StepResult
from executor.steps import Opening, Reducing, Step
from shared.facts import Fact
from shared.outcomes import StepReport


@dataclass
class Grace:
    """How long the terminal could have shown, without interruption, what may have been sent (monotonic seconds).

    `breaks` is how often the link to the broker had been lost when it began.
    """

    seconds: float
    began: float | None = None
    breaks: int = -1

    @property
    def ends(self) -> float | None:
        """When it is over if nothing interrupts it; None while it does not run."""
        return None if self.began is None else self.began + self.seconds

    def run(self, now: float, breaks: int) -> None:
        """Begin, or go on; it starts over when the link was lost meanwhile."""
        if self.began is None or breaks != self.breaks:
            self.began, self.breaks = now, breaks

    def stop(self) -> None:
        """Have it begin anew: the link is lost, or something is being sent."""
        self.began = None

    def outlasted(self, began: float, breaks: int) -> bool:
        """Whether a reading that began then was after all of it, with the link lost `breaks` times by now."""
        return self.ends is not None and breaks == self.breaks and began >= self.ends


@dataclass
class Attempt:
    """What is known of one attempt so far. `meaning` is what its marks are made from.

    `origin` is the entry that its outcome names, where it is not followed by that. `suspect`: it may have been tried
    before we knew of it. `probe`: it is only searched, never sent. `contested`: what is missing of its netting position
    may be another exit's effect, of which nobody knows. `shown` are the steps after which the account was read, so that
    the book has their effect already. `marks` are those of its steps, by name, once they were made, and `seen` is the
    last reading that was looked through for them. `newest` is the last fact of its link that waits behind it.
    """

    work: Work
    meaning: str
    fact: Fact | None
    link: str
    steps: list[Step]
    grace: Grace
    read: datetime
    entry: str | None = None
    origin: str = ""
    suspect: bool = False
    probe: bool = False
    contested: bool = False
    results: dict[str, StepResult] = field(default_factory=dict)
    calls: dict[str, report.Call] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    shown: set[str] = field(default_factory=set)
    marks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    seen: object = None
    newest: Fact | None = None

    def maybe_sent(self, step: Step) -> bool:
        """Whether this step may have had its effect already."""
        return step.name in self.unknown or (self.suspect and step.name not in self.absent)

    @property
    def told_entry(self) -> str:
        """The entry that its outcome names."""
        return self.origin or self.entry or ""

    @property
    def untouched(self) -> bool:
        """Whether nothing of it was tried or looked for yet, so that it can be planned anew."""
        return not (self.results or self.unknown)

    @property
    def postponed(self) -> bool:
        """Whether its opening waits for an exit of its own that is owed."""
        refused = (r.result for r in self.results.values() if isinstance(r.step, Opening) and not crosses(r.step))
        return any(isinstance(result, Denied) and result.reason is Reason.EXIT_OWED for result in refused)

    @property
    def half_done(self) -> bool:
        """Whether everything that it closes is closed, and only its opening has no result yet."""
        left = [step for step in self.steps if step.name not in self.results]
        return self.changes_parts and all(isinstance(step, Opening) for step in left)

    def begin_anew(self) -> None:
        """Forget what was tried, so that what is left is planned again."""
        for known in (self.results, self.unknown, self.absent, self.shown):
            known.clear()

    @property
    def superseded(self) -> bool:
        """Whether nothing of it was done because newer facts leave nothing to do."""
        skipped = [r.result for r in self.results.values() if isinstance(r.result, Skipped)]
        return len(skipped) == len(self.results) and any(self.probe or s.superseded for s in skipped)

    @property
    def reduces(self) -> bool:
        """Whether it closes something, or was to."""
        return any(isinstance(step, Reducing) for step in self.steps)

    @property
    def changes_parts(self) -> bool:
        """Whether something of it has changed what is ours."""
        return any(isinstance(r.result, Done) and isinstance(r.step, Opening | Reducing) for r in self.results.values())

    @property
    def waiting_opening(self) -> Opening | None:
        """Its opening whose result is not known yet."""
        openings = (s for s in self.steps if isinstance(s, Opening) and not crosses(s))
        return next((s for s in openings if s.name not in self.results), None)

    def done(self) -> list[StepResult]:
        """The results in the order of the steps."""
        return [self.results[s.name] for s in self.steps if s.name in self.results]

    def reports(self) -> tuple[StepReport, ...]:
        """Every step as the outcomes stream tells it."""
        none = report.Call()
        known = ((s, self.results.get(s.name)) for s in self.steps)
        return tuple(report.step_report(s, r.result if r else None, self.calls.get(s.name, none)) for s, r in known)
