"""Pure: from a plan and what became of its steps to what is remembered, what is still owed, and the fact's one end.

Exactly what happened goes into the link: the volume that was really opened or closed, under the mark it bore. The
source's total counts as followed also where an opening was denied, which is thereby let go; an exit that was not done
whole is a debt, and the fact has no result before that is paid.
"""

from collections.abc import Sequence
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from executor.book import Book, Debt, Link
from executor.instruments import plain
from executor.netting import crosses
from executor.parts import after_step, down_to, let_go
from executor.reasons import Denied, Ignored, Obstacle, say
from executor.requests import taking
from executor.results import Already, Done, Owed, Rejected, Skipped, StepResult
from executor.steps import Close, Move, Open, Protect, Reduce, Rest, Step, Withdraw
from executor.translate import Plan, worth_keeping
from shared.facts import Fact
from shared.outcomes import Result

ZERO = Decimal(0)


class Settled(Struct, frozen=True, kw_only=True):
    """What is known of a fact at its end, or that it is still owed.

    `link` None: forget it. `result` None: `debt` says what is owed; its entry, since, attempt and attempts are for the
    lane to fill in. `reason` is a code of `executor.reasons`, `text` the same for a trader. `untraded` are signed lots
    that the link does not claim any more though they were not traded.
    """

    link: Link | None
    debt: Debt | None
    result: Result | None
    reason: str = ""
    text: str = ""
    untraded: Decimal = ZERO


def settle(fact: Fact, plan: Plan, results: Sequence[StepResult]) -> Settled:
    """The end of one attempt. `results` has one for each step of the plan, and for those the lane added to it."""
    link = plan.link
    for done in results:
        link = after_step(link, done, fact)
    owed, unfinished = _owed(results), any(_unfinished(r) for r in results)
    left = link.own
    if not unfinished:
        link = let_go(link, results)
    untraded = left - link.own
    if owed is not None:
        target = plan.reduced if unfinished and plan.reduced is not None else link.own
        effect = _effect([r.step for r in results if isinstance(r.result, Done)])
        debt = replace(_debt(fact, link, target, owed), did="filled" if effect == "filled" else None)
        return Settled(link=link, debt=debt, result=None, reason=owed.reason, text=_said(owed.reason, owed.text))
    if not link.parts and any(isinstance(r.step, Open) for r in results):
        link = replace(link, remainder=ZERO)
    result, reason, text = _end(plan, results)
    text = "; ".join(filter(None, (text, plan.note)))
    return Settled(link=_kept(link), debt=None, result=result, reason=reason, text=text, untraded=untraded)


def shown(link: Link, results: Sequence[StepResult]) -> Link:
    """The link after what became of steps of its debt, whatever else is owed."""
    for done in results:
        link = after_step(link, done, None)
    return link


def settle_debt(link: Link, debt: Debt, results: Sequence[StepResult], book: Book) -> Settled:
    """How far a debt was paid by its steps: its end (`closed`, `canceled`, `modified`), or the debt as it is now.

    Where the broker has refused the last of it because it is too little for any order, it is over as well (`rejected`
    if nothing of it was closed). `book` is the account after the steps.
    """
    link = shown(link, results)
    owed = _owed(results)
    stuck = _stuck(results, book)
    if stuck:
        result: Result = "closed" if debt.attempts or any(isinstance(r.result, Done) for r in results) else "rejected"
        left = _kept(down_to(link, debt.target))
        return Settled(link=left, debt=None, result=result, reason=Obstacle.INVALID_VOLUME, text=stuck)
    if owed is not None:
        still = replace(debt, reason=str(owed.reason))
        return Settled(link=link, debt=still, result=None, reason=owed.reason, text=_said(owed.reason, owed.text))
    paid = down_to(link, debt.target)
    reason, text = _why_untraded(results)
    superseded = not results and bool(debt.target) and not debt.attempts  # newer levels are set than were owed
    result = "modified" if superseded else _paid({type(r.step) for r in results})
    return Settled(link=_kept(paid), debt=None, result=result, reason=reason, text=text, untraded=link.own - paid.own)


def _stuck(results: Sequence[StepResult], book: Book) -> str:
    """What to say of volume that the broker takes in no order, as it has said; empty when more can still be done."""
    left = [r for r in results if isinstance(r.result, Owed | Rejected)]
    refused = [volume for r in left if (volume := _too_little(r, book))]
    if not left or len(refused) < len(left):
        return ""
    symbol, lots = left[0].step.symbol, plain(sum(refused, ZERO))
    least = plain(book.specifications[symbol].volume_min)
    return f"{lots} lots of {symbol} stay open: the broker takes no order below {least}; close them by hand"


def _too_little(done: StepResult, book: Book) -> Decimal | None:
    """The volume of an exit that was refused and is below the symbol's least."""
    step, rules = done.step, book.specifications.get(done.step.symbol)
    reason = done.result.reason if isinstance(done.result, Owed | Rejected) else None
    if rules is None or reason is not Obstacle.INVALID_VOLUME:
        return None
    volume = taking(step, book) if isinstance(step, Close | Reduce) else step.volume if isinstance(step, Open) else None
    return volume if volume is not None and ZERO < volume < rules.volume_min else None


def _why_untraded(results: Sequence[StepResult]) -> tuple[str, str]:
    refused = (r.result for r in results if isinstance(r.result, Denied))
    return next(((str(denied.reason), denied.text) for denied in refused), ("", ""))


def _paid(kinds: set[type[Step]]) -> Result:
    """What the steps of a debt that is paid come to; without any, somebody else has closed what was owed."""
    if kinds == {Withdraw}:
        return "canceled"
    return "modified" if kinds and kinds <= {Protect, Move, Withdraw} else "closed"


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
    step = done.step
    if not (isinstance(step, Close | Reduce) or (isinstance(step, Open) and crosses(step))):
        return False
    match done.result:
        case Done(volume=volume):
            return ZERO < volume < step.volume
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
        if refusal is None and plan.closes is not None and effect == "closed":
            return effect, str(plan.closes), say(plan.closes)
        reason, text = _why(refusal) if refusal is not None else _short_fill(results)
        return effect, reason, text
    if refusal is not None:
        return ("denied" if isinstance(refusal, Denied) else "rejected"), *_why(refusal)
    ignored = _nothing(results)
    return "ignored", ignored, say(ignored)


def _effect(done: Sequence[Step]) -> Result | None:
    """What the steps that were done come to, the strongest first."""
    kinds = {Close if crosses(s) else type(s) for s in done}
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
    found = any(isinstance(r.step, Open | Rest) and not r.step.volume and isinstance(r.result, Done) for r in results)
    return next(refused, None if found else plan.denied)


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
