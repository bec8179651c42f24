"""Pays debts: exits that MT5 refused for a cause that can pass, or of which nobody knows whether they were done.

A debt is tried until it is done, with backoff and never given up by itself; everything it was tried with is searched
first when it may have been sent. Its end writes the outcome of every fact that waits for it.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

from msgspec.structs import replace

from executor.attempt import Attempt, Grace
from executor.book import Debt, Link
from executor.bookkeeping import Bookkeeper
from executor.change import Change, End, Work
from executor.follower import Follower
from executor.owing import probes, relieved, renamed, set_off
from executor.reasons import Obstacle
from executor.results import Skipped
from executor.runner import Runner
from executor.settings import Account
from executor.settle import Settled, settle_debt, shown
from executor.telling import Teller
from executor.translate import owed_steps, target_steps
from shared.outcomes import Message

log = logging.getLogger(__name__)

FIRST_TRY_S = 0.25
LONGEST_WAIT_S = 60.0


@dataclass
class Payment:
    """A debt being paid, and of which link: the attempt under way, how often it was refused, and when it is due again
    (monotonic).
    """

    debt: Debt
    link: Link | None = None
    attempt: Attempt | None = None
    refusals: int = 0
    due: float = 0.0


class Payer:
    """The debts of one account under one lease."""

    def __init__(
        self,
        account: Account,
        keeper: Bookkeeper,
        runner: Runner,
        follower: Follower,
        teller: Teller,
        clock: Callable[[], datetime],
    ) -> None:
        self._teller = teller
        self._account = account
        self._keeper = keeper
        self._runner = runner
        self._follower = follower
        self._clock = clock
        self._inherited = set(follower.debts)
        self._searched: set[str] = set()
        self._payments: dict[str, Payment] = {}

    async def begin(self, outcome: Callable[[Work], Awaitable[str | None]]) -> None:
        """Take from debts the facts that have their end already: a second one is never written. They are paid as any.

        `outcome` says how an attempt has ended. This happens when a failover has forgotten an end that is put back.
        """
        for key, debt in list(self._follower.debts.items()):
            over = {o for o in debt.owing if await outcome(Work(fact=o.fact, attempt=o.attempt))}
            if over:
                log.warning("%s: what is owed was told as done before; it is looked up, and closed if it is there", key)
                await self._follower.write(Change(debts={key: relieved(debt, over)}))

    async def attend(self) -> None:
        """Try every debt that is due."""
        for key, debt in list(self._follower.debts.items()):
            payment = self._payment(key, debt)
            if payment.due <= monotonic():
                await self._pay(key, payment)

    def _payment(self, key: str, debt: Debt) -> Payment:
        """The payment of a debt. One that has changed, or has other levels, begins anew, but for what nobody knows the
        end of.
        """
        payment, link = self._payments.get(key), self._keeper.book.links.get(key)
        if payment is None or payment.debt != debt or _wanted(payment.link) != _wanted(link):
            unknown = payment.attempt if payment and payment.attempt and payment.attempt.unknown else None
            payment = self._payments[key] = Payment(debt, link, unknown)
        return payment

    async def _pay(self, key: str, payment: Payment) -> None:
        link = self._keeper.book.links.get(key)
        if link is None:
            await self._write(key, payment.debt, Settled(link=None, debt=None, result="closed", text="nothing is left"))
            return
        attempt = payment.attempt = payment.attempt or self._attempt(key, payment.debt, link)
        self._follower.debts.contest(attempt, self._keeper.book)
        if await self._runner.run(attempt, lambda _opening: True):
            payment.attempt = None
            self._follower.debts.unknown.discard(key)
            await self._settle(key, payment, link, attempt)
        else:
            # What was asked and not answered is only searched from now on: what is asked next is computed anew.
            attempt.probe = True
            self._follower.debts.unknown.add(key)
            payment.due = monotonic() + FIRST_TRY_S

    def _attempt(self, key: str, debt: Debt, link: Link) -> Attempt:
        book = self._keeper.book
        unsure = key in self._inherited or debt.sought or debt.reason == Obstacle.NO_ANSWER
        sought = probes(link, debt, book) if unsure and key not in self._searched else []
        self._searched.add(key)
        return Attempt(
            work=Work(fact=debt.fact, attempt=debt.attempt),
            meaning=debt.meaning,
            fact=None,
            link=key,
            steps=sought or renamed(owed_steps(link, debt, book), debt.attempts),
            grace=Grace(self._account.grace),
            read=self._clock(),
            suspect=bool(sought),
            probe=bool(sought),
        )

    async def _settle(self, key: str, payment: Payment, link: Link, attempt: Attempt) -> None:
        known = [r for r in attempt.done() if not (attempt.probe and isinstance(r.result, Skipped))]
        if attempt.probe and not known:
            return
        settled, found = settle_debt(link, payment.debt, known, self._keeper.book), shown(link, known)
        if attempt.probe and self._left(found, payment.debt):  # a search says nothing of what it did not look for
            settled = Settled(link=found, debt=payment.debt, result=None, reason=payment.debt.reason)
        if settled.result is not None and self._left(settled.link, payment.debt):
            settled = replace(settled, result=None)
        if settled.result is None and settled.link == link and not attempt.probe:
            payment.due = monotonic() + min(LONGEST_WAIT_S, FIRST_TRY_S * 2**payment.refusals)
            payment.refusals += 1
        else:
            await self._write(key, payment.debt, settled, attempt)

    def _left(self, link: Link | None, debt: Debt) -> bool:
        """Whether something is still to be closed, by what is ours of the link and not by what a try was to do."""
        return link is not None and bool(target_steps(link, debt.target, self._keeper.book))

    async def _write(self, key: str, debt: Debt, settled: Settled, attempt: Attempt | None = None) -> None:
        """Commit the end of a debt, or how far it came."""
        if settled.result is None:
            progress = replace(debt, attempts=debt.attempts + 1, reason=settled.reason)
            change = Change(links={key: settled.link}, debts={key: progress})
        else:
            result, steps = settled.result, attempt.reports() if attempt else ()
            read = attempt.read if attempt else self._clock()
            ends = [End(result=o.did or result, work=Work(fact=o.fact, attempt=o.attempt)) for o in debt.owing]
            reason, text = settled.reason, settled.text
            told: list[Message] = [self._teller.paid(o, read, o.did or result, reason, text, steps) for o in debt.owing]
            told += [self._teller.notice(f"{key}: {text}")] if reason == Obstacle.INVALID_VOLUME else []
            known = self._keeper.book.links.get(key)
            left = settled.link or (self._follower.kept(known) if known else None)
            links = {key: left, **set_off(self._keeper.book, key, settled.untraded, self._follower.kept)}
            change = Change(ends=ends, messages=told, links=links, debts={key: None})
            self._inherited.discard(key)
            self._searched.discard(key)
        await self._follower.write(change)
        self._payments.pop(key, None)


def _wanted(link: Link | None) -> object:
    """The levels that a link is to have."""
    return link and (link.levels, link.shift)
