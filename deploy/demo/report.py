"""The demo's lines: what the trader did, what became of it on each account, and how long that took. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from statistics import median

from deploy.demo.story import Deed
from shared.facts import Fact
from shared.outcomes import Outcome, StepReport

SECOND_MS = 1000


def deed_line(number: int, deed: Deed) -> str:
    """What the trader did and what the broker said."""
    said = "" if deed.answer == "accepted" else f'   refused: "{deed.reason}"'
    return f"{number:>3}  {deed.text}{said}"


def fact_line(fact: Fact) -> str:
    """What happened at the source, of a fact that nobody told us about before."""
    tag = str(type(fact).__struct_config__.tag)
    return f"{fact.captured:%H:%M:%S}  {tag}  {fact.instrument}  now {plain(fact.exposure.after.total)}"


def outcome_lines(fact: Fact, outcomes: Mapping[str, Outcome]) -> list[str]:
    """What became of a fact, one line per account."""
    width = max(map(len, outcomes), default=0)
    return [f"       {account:<{width}}  {outcome_text(fact, outcome)}" for account, outcome in outcomes.items()]


def outcome_text(fact: Fact, outcome: Outcome) -> str:
    """The result, what each step did, and the milliseconds from the capture to MetaTrader's answer."""
    parts = [f"{outcome.result:<8}", *(step_text(step) for step in outcome.steps)]
    if not outcome.steps and (outcome.reason or outcome.text):
        parts.append(outcome.text or outcome.reason)
    if (sent := first_sent(outcome)) is not None:
        parts.append(f"  order_send after {since(fact, sent):.1f} ms")
    if (answered := last_answered(outcome)) is not None:
        parts.append(f"done after {since(fact, answered):.1f} ms")
    return "  ".join(parts)


def step_text(step: StepReport) -> str:
    """One step in a trader's words: ticket, lots, price, or the levels that were set."""
    words = [step.action]
    if step.ticket is not None:
        words.append(f"#{step.ticket}")
    if step.volume is not None:
        words.append(f"{plain(step.volume)} lots")
    if step.price is not None:
        words.append(f"at {plain(step.price)}")
    if step.stop_loss is not None:
        words.append(f"sl {plain(step.stop_loss)}")
    if step.take_profit is not None:
        words.append(f"tp {plain(step.take_profit)}")
    if step.result not in ("done", "already"):
        words.append(f"({step.result}: {step.text or step.reason})")
    return " ".join(words)


def latency_line(waits: Sequence[float]) -> str:
    """From the moment the broker's reply had passed the proxy to the call of order_send, over all steps sent."""
    if not waits:
        return "no request was sent to MetaTrader 5"
    return (
        f"capture to order_send over {len(waits)} requests: median {median(waits):.1f} ms, "
        f"fastest {min(waits):.1f} ms, slowest {max(waits):.1f} ms"
    )


def waits(fact: Fact, outcome: Outcome) -> list[float]:
    """The milliseconds from capture to order_send, of an outcome that sent something."""
    sent = first_sent(outcome)
    return [] if sent is None else [since(fact, sent)]


def first_sent(outcome: Outcome) -> datetime | None:
    """When the first request of an outcome went to MetaTrader."""
    return min((step.sent for step in outcome.steps if step.sent is not None), default=None)


def last_answered(outcome: Outcome) -> datetime | None:
    """When the last request of an outcome was answered."""
    return max((step.answered for step in outcome.steps if step.answered is not None), default=None)


def since(fact: Fact, moment: datetime) -> float:
    """Milliseconds from a fact's capture to a moment."""
    return (moment - fact.captured).total_seconds() * SECOND_MS


def plain(value: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    return format(value.normalize(), "f")
