"""Pure: from a plan and what became of its steps to what is remembered, what is still owed, and the fact's one end.

Exactly what happened goes into the link: the volume that was really opened or closed, under the mark it bore. The
source's total counts as followed also where an opening was denied, which is thereby let go; an exit that was not done
whole is a debt, and the fact has no result before that is paid.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Debt, Link, Margin, Part
from executor.instruments import other, plain, side_of, signed
from executor.mirror import over, placed
from executor.netting import CROSS
from executor.reasons import Denied, Ignored, Obstacle, say
from executor.results import Already, Done, Owed, Rejected, Skipped, StepResult
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw
from executor.translate import Plan, worth_keeping
from shared.facts import Fact, OrderFact, Side
from shared.outcomes import Result

ZERO = Decimal(0)


class Settled(Struct, frozen=True, kw_only=True):
    """What is known of a fact at its end, or that it is still owed.

    `link` None: forget it. `result` None: `debt` says what is owed; its entry, since, attempt and attempts are for the
    lane to fill in. `reason` is a code of `executor.reasons`, `text` the same for a trader.
    """

    link: Link | None
    debt: Debt | None
    result: Result | None
    reason: str = ""
    text: str = ""


def settle(fact: Fact, plan: Plan, results: Sequence[StepResult]) -> Settled:
    """The end of one attempt. `results` has one for each step of the plan, and for those the lane added to it."""
    link = plan.link
    for done in results:
        link = _after(link, done, fact)
    owed, unfinished = _owed(results), any(_unfinished(r) for r in results)
    if not unfinished:
        link = _let_go(link, results)
    if owed is not None:
        target = plan.reduced if unfinished and plan.reduced is not None else link.own
        debt = _debt(fact, link, target, owed)
        return Settled(link=link, debt=debt, result=None, reason=owed.reason, text=_said(owed.reason, owed.text))
    if not link.parts and any(isinstance(r.step, Open) for r in results):
        link = replace(link, remainder=ZERO)
    result, reason, text = _end(plan, results)
    text = "; ".join(filter(None, (text, plan.note)))
    return Settled(link=_kept(link), debt=None, result=result, reason=reason, text=text)


def settle_debt(link: Link, debt: Debt, results: Sequence[StepResult]) -> Settled:
    """How far a debt was paid by its steps: its end (`closed` or `modified`), or the debt as it is now."""
    for done in results:
        link = _after(link, done, None)
    owed = _owed(results)
    if owed is not None:
        still = replace(debt, reason=str(owed.reason))
        return Settled(link=link, debt=still, result=None, reason=owed.reason, text=_said(owed.reason, owed.text))
    set_only = bool(results) and all(isinstance(r.step, Protect | Move | Withdraw) for r in results)
    paid = _kept(_down_to(link, debt.target))
    return Settled(link=paid, debt=None, result="modified" if set_only else "closed")


def adopt_fill(link: Link, order: str, filled: Decimal, identifier: int, *, margin: Margin = "hedging") -> Link:
    """The link once the mirror of the source's `order` has given `filled` lots in all; told again it changes nothing.

    On a hedging account the fill is a position of its own, whose identifier is the order's ticket. On a netting one it
    adds to our share, or takes from it.
    """
    pending = link.pendings.get(order)
    if pending is None or filled <= pending.filled:
        return link
    gained = filled - pending.filled
    part = Part(ticket=identifier, identifier=identifier, volume=gained, side=pending.side, mark=pending.mark)
    parts = _joined(link.parts, part)
    if margin == "netting":
        parts = _cancelled_out(parts)
    return replace(
        link, parts=parts, pendings={**link.pendings, order: replace(pending, filled=filled)}, tombstone=False
    )


def _after(link: Link, done: StepResult, fact: Fact | None) -> Link:
    """The link with one step's effect."""
    step, result = done.step, done.result
    match step:
        case Open(name=name) if name == CROSS:
            crossed = (result.volume or step.volume) if isinstance(result, Done) else ZERO
            return replace(link, parts=_less(link.parts, other(step.side), crossed, "", 0))
        case Open():
            return _opened(link, step, result) if isinstance(result, Done) else link
        case Close() | Reduce():
            taken = _taken(step, result)
            return replace(link, parts=_less(link.parts, step.side, taken, step.name, step.ticket)) if taken else link
        case Rest():
            return _rested(link, step, result, fact) if isinstance(result, Done) else link
        case Move():
            return _moved(link, step) if isinstance(result, Done | Already) else link
        case Withdraw():
            return _withdrawn(link, step) if isinstance(result, Done | Already) else link
        case Protect():
            return link
        case _:
            assert_never(step)


def _let_go(link: Link, results: Sequence[StepResult]) -> Link:
    """The link without what should have crossed to the other side of a netting account and was refused there.

    The exit down to zero is done; what another link of ours holds against it stays that link's.
    """
    for done in results:
        if isinstance(done.step, Open) and done.step.name == CROSS:
            crossed = (done.result.volume or done.step.volume) if isinstance(done.result, Done) else ZERO
            left = done.step.volume - crossed
            link = replace(link, parts=_less(link.parts, other(done.step.side), left, "", 0))
    return link


def _down_to(link: Link, target: Decimal) -> Link:
    """The link at its debt's target. More can be left only where another link stands against it (netting account)."""
    if not link.own:
        return link
    side = side_of(link.own)
    beyond = abs(link.own) - max(ZERO, signed(side, target))
    return replace(link, parts=_less(link.parts, side, beyond, "", 0)) if beyond > 0 else link


def _opened(link: Link, step: Open, done: Done) -> Link:
    part = Part(
        ticket=done.ticket,
        identifier=done.identifier or done.ticket,
        volume=done.volume or step.volume,
        side=step.side,
        mark=done.mark,
    )
    return replace(link, parts=_joined(link.parts, part))


def _joined(parts: tuple[Part, ...], part: Part) -> tuple[Part, ...]:
    """The parts with one more, which joins the one that has its position and side already."""
    for index, known in enumerate(parts):
        if (known.identifier, known.side) == (part.identifier, part.side):
            grown = replace(known, volume=known.volume + part.volume, mark=part.mark or known.mark)
            return (*parts[:index], grown, *parts[index + 1 :])
    return (*parts, part)


def _cancelled_out(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """Parts of both sides of a netting position as the one side that remains."""
    buys, sells = (sum((p.volume for p in parts if p.side == side), ZERO) for side in ("buy", "sell"))
    both = min(buys, sells)
    return _less(_less(parts, "buy", both, "", 0), "sell", both, "", 0)


def _taken(step: Close | Reduce, result: object) -> Decimal:
    """What a step took off: where the account was already as asked, all that it was to take."""
    match result:
        case Done(volume=volume) if volume:
            return min(volume, step.volume)
        case Done() | Already():
            return step.volume
        case _:
            return ZERO


def _less(parts: tuple[Part, ...], side: Side, volume: Decimal, name: str, ticket: int) -> tuple[Part, ...]:
    """The parts of `side` with `volume` taken off: first off the one that the step names, then the oldest."""
    identifier = name.partition("/")[0].partition(":")[2]
    named = [p for p in parts if p.side == side and (str(p.identifier) == identifier or p.ticket == ticket)]
    remaining = {id(p): p.volume for p in parts}
    for part in (*named, *(p for p in parts if p.side == side)):
        off = min(volume, remaining[id(part)])
        remaining[id(part)] -= off
        volume -= off
    return tuple(replace(p, volume=remaining[id(p)]) for p in parts if remaining[id(p)] > 0)


def _rested(link: Link, step: Rest, done: Done, fact: Fact | None) -> Link:
    if not isinstance(fact, OrderFact):
        return link
    pending = placed(link, fact, step, done.ticket, done.volume or step.volume, done.mark)
    return replace(link, pendings={**link.pendings, step.order: pending})


def _moved(link: Link, step: Move) -> Link:
    pending = link.pendings.get(step.order)
    if pending is None:
        return link
    return replace(link, pendings={**link.pendings, step.order: replace(pending, price=step.price)})


def _withdrawn(link: Link, step: Withdraw) -> Link:
    """A mirror whose order is over is forgotten; of one that is to be replaced it stays known what it gave."""
    pending = link.pendings.get(step.order)
    if pending is None or not over(pending):
        return link
    return replace(link, pendings={order: p for order, p in link.pendings.items() if order != step.order})


def _owed(results: Sequence[StepResult]) -> Owed | None:
    """The first thing that is still to be done."""
    for done in results:
        if isinstance(done.result, Owed):
            return done.result
        if _unfinished(done):
            text = done.result.text if isinstance(done.result, Rejected) else ""
            reason = done.result.reason if isinstance(done.result, Rejected) else Obstacle.PARTLY_DONE
            return Owed(reason, text=text)
    return None


def _unfinished(done: StepResult) -> bool:
    """Whether a reducing step has not taken off what it was to take."""
    if not isinstance(done.step, Close | Reduce):
        return False
    match done.result:
        case Done(volume=volume):
            return ZERO < volume < done.step.volume
        case Owed() | Rejected():
            return True
        case _:
            return False


def _debt(fact: Fact, link: Link, target: Decimal, owed: Owed) -> Debt:
    return Debt(
        link=link.key,
        fact=fact.id,
        entry="",
        target=target,
        since=fact.captured,
        captured=fact.captured,
        reason=str(owed.reason),
    )


def _end(plan: Plan, results: Sequence[StepResult]) -> tuple[Result, str, str]:
    """Result, reason and text. With an effect, what was refused beside it still gives reason and text."""
    refusal = _refusal(plan, results)
    effect = _effect([r.step for r in results if isinstance(r.result, Done)])
    if effect is not None:
        reason, text = _why(refusal) if refusal is not None else _short_fill(results)
        return effect, reason, text
    if refusal is not None:
        return ("denied" if isinstance(refusal, Denied) else "rejected"), *_why(refusal)
    ignored = _nothing(results)
    return "ignored", ignored, say(ignored)


def _effect(done: Sequence[Step]) -> Result | None:
    """What the steps that were done come to, the strongest first."""
    kinds = {Close if isinstance(s, Open) and s.name == CROSS else type(s) for s in done}
    if Open in kinds:
        return "filled"
    if kinds & {Close, Reduce}:
        return "closed"
    if Rest in kinds and Withdraw not in kinds:
        return "accepted"
    if kinds & {Rest, Move, Protect}:
        return "modified"
    return "canceled" if Withdraw in kinds else None


def _refusal(plan: Plan, results: Sequence[StepResult]) -> Denied | Rejected | None:
    refused = (r.result for r in results if isinstance(r.result, Denied | Rejected))
    return next(refused, plan.denied)


def _why(refusal: Denied | Rejected) -> tuple[str, str]:
    text = refusal.text if isinstance(refusal, Denied) else _said(refusal.reason, refusal.text)
    return str(refusal.reason), text


def _short_fill(results: Sequence[StepResult]) -> tuple[str, str]:
    """What to say of an opening that filled in part; the rest of it is let go."""
    for done in results:
        if (
            isinstance(done.step, Open)
            and isinstance(done.result, Done)
            and ZERO < done.result.volume < done.step.volume
        ):
            filled = f"{plain(done.result.volume)} of {plain(done.step.volume)} lots"
            return str(Obstacle.PARTLY_DONE), f"{say(Obstacle.PARTLY_DONE)}: {filled}"
    return "", ""


def _nothing(results: Sequence[StepResult]) -> Ignored:
    if any(isinstance(r.result, Skipped) and r.result.shadow for r in results):
        return Ignored.SHADOW
    closes = any(isinstance(r.step, Close | Reduce) and isinstance(r.result, Already) for r in results)
    return Ignored.CLOSED_HERE if closes else Ignored.ALREADY_THERE


def _said(reason: Obstacle, official: str) -> str:
    """The trader's text, with MT5's own in brackets where there is one."""
    return f"{say(reason)} ({official})" if official else say(reason)


def _kept(link: Link) -> Link | None:
    return link if worth_keeping(link) else None
