"""The log of what became of each fact: one line per end or state, under the fact's id, with its deals."""

import logging
from collections.abc import Callable

from executor.change import Change
from shared.logs import correlated
from shared.outcomes import Outcome, Pending

log = logging.getLogger(__name__)


def recorded(account: str, count: Callable[[Change], None]) -> Callable[[Change], None]:
    """What a ledger tells of each change that was written: counted first, then logged."""

    def record(change: Change) -> None:
        count(change)
        chronicle(account, change)

    return record


def chronicle(account: str, change: Change) -> None:
    """Log the ends and states in a change that was written."""
    if not log.isEnabledFor(logging.INFO):
        return
    for message in change.messages:
        if isinstance(message, Outcome | Pending):
            with correlated(message.fact):
                log.info("%s: %s", account, _became(message), extra=_about(message))


def _became(message: Outcome | Pending) -> str:
    became = message.result if isinstance(message, Outcome) else message.state
    return f"{became} ({message.text})" if message.text else became


def _about(message: Outcome | Pending) -> dict[str, object]:
    deals = [step.deal for step in message.steps if step.deal is not None]
    codes = [step.retcode for step in message.steps if step.retcode is not None]
    found = {"instrument": message.instrument, "reason": message.reason, "deals": deals, "retcodes": codes}
    return {name: value for name, value in found.items() if value}
