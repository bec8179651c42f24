"""The pause that nobody can see from outside: a terminal that carries out a request when the grace is over.

What did not show for a whole grace is sent again, and then the first request is carried out too. Both bear the same
mark, so that reconciliation finds the second one and, with `doubles = "close"`, closes it. Each opening of this trial
is doubled in that way on every account; the doubles are counted apart, and each has to be closed at the end.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from time import monotonic

from deploy.chaos import checker, evidence
from deploy.chaos.checker import Finding
from deploy.chaos.evidence import Evidence, Terminal
from deploy.chaos.pipeline import MIXED, Pipeline, Servers
from deploy.chaos.story import SIZES, Statement, Ticket, Totals
from deploy.chaos.timing import Timing
from deploy.chaos.trial import Result, Teller, settled
from executor.mt5.simulator.faults import Fault, FaultKind
from executor.mt5.simulator.remote import Remote

KIND = "pause-in-the-call"
TWICE_EVERY = 25
"""One seed in so many is a trial of these pauses."""
OPENINGS = 2
CLOSES_DOUBLES = ('doubles = "close"',)
BEYOND_S = 10.0
"""How long after the end of the grace the first request is carried out: the child has to come back before it runs."""
CLOSED_S, LOOK_S = 90.0, 0.2


def story() -> list[Statement]:
    """Openings of different sizes, each of its own."""
    return [_opening(number, size) for number, size in enumerate(SIZES[:OPENINGS], start=1)]


async def twice(seed: int, servers: Servers, folder: Path, timing: Timing) -> Result:
    """Run the trial."""
    began, told = monotonic(), story()
    pipeline = Pipeline(folder, servers, f"chaos-{folder.name}", timing, MIXED, more=CLOSES_DOUBLES)
    try:
        await pipeline.start()
        teller = Teller(pipeline, told)
        for number in range(1, len(told) + 1):
            await settled(pipeline, told[: number - 1])
            await asyncio.to_thread(_pause, pipeline.addresses, timing)
            await teller.tell(number)
            await _over(pipeline, told[:number])
        found = await settled(pipeline, told)
    finally:
        await pipeline.stop()
    doubles = sum(len(doubled(terminal)) for terminal in found.terminals.values())
    crashes = [Finding("wrong", text) for text in pipeline.crashes]
    return Result(
        seed=seed,
        findings=(*judged(told, found), *crashes),
        faults={KIND: len(told) * len(pipeline.accounts)},
        reached=dict(pipeline.reached),
        actions=len(told),
        ends=evidence.ends(found.outcomes),
        seconds=monotonic() - began,
        doubles=doubles,
    )


def judged(told: Sequence[Statement], found: Evidence) -> list[Finding]:
    """What is wrong. That something was executed twice is not, when it was doubled by the pause and closed again."""
    findings = [f for f in checker.check(told, found) if "was executed as orders" not in f.text]
    for account, terminal in found.terminals.items():
        if len(doubled(terminal)) < len(told):
            findings.append(Finding("wrong", f"{account}: not every opening was doubled, so nothing was shown"))
    return findings


def doubled(terminal: Terminal) -> set[int]:
    """The marks under which more than one order was executed."""
    orders: dict[int, set[int]] = defaultdict(set)
    for deal in terminal.deals:
        if deal.mark:
            orders[deal.mark].add(deal.order)
    return {mark for mark, tickets in orders.items() if len(tickets) > 1}


def _opening(number: int, size: Decimal) -> Statement:
    name = f"p{number}"
    return Statement(
        number=number,
        kind="order.placed",
        instrument="EURUSD",
        position=name,
        revision=1,
        before=Totals(),
        after=Totals(coming=size),
        order=Ticket(id=name, buy=True, quantity=size),
    )


def _pause(addresses: Mapping[str, str], timing: Timing) -> None:
    """Let the next request of every terminal be carried out when its grace is over. Blocks."""
    delay = int((timing.grace + BEYOND_S) * 1000)
    for address in addresses.values():
        with closing(Remote.at(address)) as remote:
            remote.fault(Fault(kind=FaultKind.LATE, delay=delay))


async def _over(pipeline: Pipeline, told: Sequence[Statement]) -> None:
    """Return when each opening was doubled and is as large as it should be again, or when that takes too long."""
    deadline = monotonic() + CLOSED_S
    while monotonic() < deadline:
        found = await settled(pipeline, told, patience=0.0)
        if checker.settled(told, found) and not judged(told, found):
            return
        await asyncio.sleep(LOOK_S)
