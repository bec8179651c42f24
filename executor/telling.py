"""The messages that a lane puts on the outcomes stream about a fact."""

from collections.abc import Callable
from datetime import datetime

from executor.attempt import Attempt
from executor.book import Owing
from executor.settle import Settled
from executor.states import OPERATOR
from shared.facts import Fact
from shared.outcomes import Notice, Outcome, Pending, Result, State, StepReport


class Teller:
    """Words for one account, with the time at which they are said."""

    def __init__(self, account: str, clock: Callable[[], datetime]) -> None:
        self._account = account
        self._clock = clock

    def ended(self, attempt: Attempt, fact: Fact, result: Result, reason: str, text: str) -> Outcome:
        """The end of an attempt."""
        return Outcome(
            fact=fact.id,
            account=self._account,
            result=result,
            captured=fact.captured,
            read=attempt.read,
            committed=self._clock(),
            attempt=attempt.work.attempt,
            entry=attempt.told_entry,
            instrument=fact.instrument,
            reason=reason,
            text=text,
            steps=attempt.reports(),
        )

    def settled(self, attempt: Attempt, fact: Fact, settled: Settled) -> Outcome | Pending:
        """What an attempt came to: its end, or that something is owed."""
        if settled.result is None:
            return self.unended(attempt, fact, "owed", settled.reason, settled.text)
        return self.ended(attempt, fact, settled.result, settled.reason, settled.text)

    def unended(self, attempt: Attempt, fact: Fact, state: State, reason: str, text: str) -> Pending:
        """A fact whose end is not known, or that is still to be done."""
        return Pending(
            fact=fact.id,
            account=self._account,
            state=state,
            since=self._clock(),
            attempt=attempt.work.attempt,
            entry=attempt.told_entry,
            instrument=fact.instrument,
            reason=reason,
            text=text,
            steps=attempt.reports(),
        )

    def notice(self, text: str) -> Notice:
        """What came of something that an operator has asked."""
        return Notice(account=self._account, reason=OPERATOR, text=text, seen=self._clock())

    def paid(
        self, owing: Owing, read: datetime, result: Result, reason: str, text: str, steps: tuple[StepReport, ...]
    ) -> Outcome:
        """The end of a fact that was owed."""
        return Outcome(
            fact=owing.fact,
            account=self._account,
            result=result,
            captured=owing.captured,
            read=read,
            committed=self._clock(),
            attempt=owing.attempt,
            entry=owing.entry,
            reason=reason,
            text=text,
            steps=steps,
        )
