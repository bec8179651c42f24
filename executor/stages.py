"""Pure: where the time of a followed fact went, from the stamps that its outcome carries.

The stages follow one another without gap or overlap, so their sum is the whole. A fact that sent nothing has no
`terminal` stage. Times of two machines are compared, so a stage can come out a little below zero; it counts as zero.
"""

from collections.abc import Mapping
from datetime import datetime

from shared.outcomes import Outcome
from shared.wire import entry_time

STAGES = ("queue", "decide", "terminal", "commit", "end_to_end")


def stages(outcome: Outcome, committed: datetime) -> Mapping[str, float]:
    """Seconds per stage; `committed` is when the commit's reply was here.

    `queue` lasts from the server's stamp of the entry (whole ms) until the lane read it, `decide` until
    the vendor is called first (or until the outcome stands), `terminal` until its last answer, `commit` until the
    commit's reply.
    """
    sent = [step.sent for step in outcome.steps if step.sent is not None]
    answered = [step.answered for step in outcome.steps if step.answered is not None]
    called = bool(sent and answered)
    decided = min(sent) if called else outcome.committed
    ended = max(answered) if called else decided
    found = {
        "decide": decided - outcome.read,
        "commit": committed - ended,
        "end_to_end": committed - outcome.captured,
    }
    if outcome.entry:
        found["queue"] = outcome.read - entry_time(outcome.entry)
    if called:
        found["terminal"] = ended - decided
    return {name: max(0.0, length.total_seconds()) for name, length in found.items()}
