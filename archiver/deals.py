"""The archive's deals of an account, and how they differ from what its terminal's history says of the same period.

The terminal is the truth about money; the archive is what the executor told of it. Whatever differs is listed: a deal
that was never told, one that the terminal does not know, or one that says something else.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

import msgspec
from msgspec import Struct

from archiver.reading import streamed
from shared.outcomes import Deal

COMPARED = ("order", "position", "symbol", "side", "entry", "volume", "price", "time", "profit", "swap", "commission")
"""What a terminal's history says of a deal and does not change any more."""

DEALS = """
select m from observations
where namespace = %(namespace)s and account = %(account)s and kind = 'deal' and at >= %(since)s and at < %(until)s
"""


class Difference(Struct, frozen=True, kw_only=True):
    """One deal on which the two disagree, and how."""

    account: str
    deal: int
    verdict: Literal["not archived", "not in the terminal", "differs"]
    text: str

    def line(self) -> str:
        """In one line."""
        return f"{self.account}: deal {self.deal} {self.verdict}: {self.text}"


def archived(dsn: str, namespace: str, account: str, since: datetime, until: datetime) -> Iterator[Deal]:
    """The archive's deals of a period, by the broker's clock; `until` is excluded. Raises Away."""
    asked = {"namespace": namespace, "account": account, "since": since, "until": until}
    for (message,) in streamed(dsn, DEALS, asked):
        yield msgspec.json.decode(message, type=Deal)


def differences(account: str, ours: Iterable[Deal], history: Iterable[Deal]) -> Iterator[Difference]:
    """Every difference, by the deal's number."""
    known = {deal.deal: deal for deal in ours}
    told = {deal.deal: deal for deal in history}
    for number in sorted(known.keys() | told.keys()):
        mine, theirs = known.get(number), told.get(number)
        if mine is None and theirs is not None:
            yield Difference(account=account, deal=number, verdict="not archived", text=_words(theirs))
        elif theirs is None and mine is not None:
            yield Difference(account=account, deal=number, verdict="not in the terminal", text=_words(mine))
        elif mine is not None and theirs is not None and (text := _differing(mine, theirs)):
            yield Difference(account=account, deal=number, verdict="differs", text=text)


def _differing(ours: Deal, theirs: Deal) -> str:
    pairs = ((name, getattr(ours, name), getattr(theirs, name)) for name in COMPARED)
    return ", ".join(f"{name} is {a} in the archive, {b} in the terminal" for name, a, b in pairs if a != b)


def _words(deal: Deal) -> str:
    earned = f"profit {deal.profit}, swap {deal.swap}, commission {deal.commission}"
    return (
        f"{deal.side} {deal.entry} {deal.volume} {deal.symbol} at {deal.price}, {deal.time:%Y-%m-%d %H:%M:%S}, {earned}"
    )
