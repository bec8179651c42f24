"""Pays debts: exits that MT5 refused for a cause that can pass, or of which nobody knows whether they were done.

A debt is tried until it is done, with backoff and never given up by itself; everything it was tried with is searched
first when it may have been sent. Its end writes the outcome of every fact that waits for it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import msgspec

from executor.attempt import Attempt, Grace
from executor.book import Debt, Link
from executor.bookkeeping import Bookkeeper
from executor.follower import Follower
from executor.ledger import Change, End, Work
from executor.owing import renamed
from executor.reasons import Obstacle
from executor.runner import Runner
from executor.settings import Account
from executor.settle import Settled, settle_debt
from executor.telling import Teller
from executor.translate import owed_steps

FIRST_TRY_S = 0.25
LONGEST_WAIT_S = 60.0


@dataclass
class Payment:
    """A debt being paid: the attempt under way, how often it was refused, and when it is due again (monotonic)."""

    debt: Debt
    attempt: Attempt | None = None
    tries: int = 0
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
        self._payments: dict[str, Payment] = {}

    async def attend(self) -> None:
        """Try every debt that is due."""
        for key, debt in list(self._follower.debts.items()):
            payment = self._payment(key, debt)
            if payment.due <= monotonic():
                await self._pay(key, payment)

    def _payment(self, key: str, debt: Debt) -> Payment:
        payment = self._payments.get(key)
        if payment is None or payment.debt.target != debt.target or payment.debt.attempts != debt.attempts:
            unknown = payment.attempt if payment and payment.attempt and payment.attempt.unknown else None
            payment = self._payments[key] = Payment(debt, unknown)
        return payment

    async def _pay(self, key: str, payment: Payment) -> None:
        link = self._keeper.book.links.get(key)
        if link is None:
            await self._write(key, payment.debt, Settled(link=None, debt=None, result="closed", text="nothing is left"))
            return
        attempt = payment.attempt = payment.attempt or self._attempt(key, payment.debt, link, payment.tries)
        if not await self._runner.run(attempt, lambda _step: True):
            payment.due = monotonic() + FIRST_TRY_S
            return
        payment.attempt = None
        settled = settle_debt(link, payment.debt, attempt.done())
        if settled.result is None and settled.link == link:
            self._later(payment)
            return
        await self._write(key, payment.debt, settled, attempt)

    def _attempt(self, key: str, debt: Debt, link: Link, tries: int) -> Attempt:
        steps = owed_steps(link, debt, self._keeper.book)
        return Attempt(
            work=Work(fact=debt.fact, attempt=debt.attempt),
            meaning=debt.meaning,
            fact=None,
            link=key,
            steps=renamed(steps, debt.attempts),
            grace=Grace(self._account.grace),
            read=self._clock(),
            # What another lane may have sent, or we without an answer, is searched before it is asked again.
            suspect=tries == 0 and (key in self._inherited or debt.reason == Obstacle.NO_ANSWER),
        )

    def _later(self, payment: Payment) -> None:
        payment.due = monotonic() + min(LONGEST_WAIT_S, FIRST_TRY_S * 2**payment.tries)
        payment.tries += 1

    async def _write(self, key: str, debt: Debt, settled: Settled, attempt: Attempt | None = None) -> None:
        """Commit the end of a debt, or how far it came."""
        if settled.result is None:
            progress = msgspec.structs.replace(debt, attempts=debt.attempts + 1, reason=settled.reason)
            change = Change(links={key: settled.link}, debts={key: progress})
        else:
            result, steps = settled.result, attempt.reports() if attempt else ()
            read = attempt.read if attempt else self._clock()
            ends = [End(result=result, work=Work(fact=o.fact, attempt=o.attempt)) for o in debt.owing]
            told = [self._teller.paid(o, read, result, settled.reason, settled.text, steps) for o in debt.owing]
            change = Change(ends=ends, messages=told, links={key: settled.link}, debts={key: None})
            self._inherited.discard(key)
        await self._follower.write(change)
        self._payments.pop(key, None)
