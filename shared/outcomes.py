"""The contract of the outcomes stream: what became of each fact on each account, and what MT5 did by itself.

An `Outcome` is final: per account, fact and attempt there is exactly one. A `Pending` is a state on the way there.
Observations (`Deal`, `Drift`, `Notice`, `Kept`) answer no fact.

What an account remembers goes into the same stream, with the commit that changes it (`Memory`), so that the archive has
all that an executor needs to go on when Redis has lost it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Literal

from msgspec import Raw, Struct

Result = Literal["filled", "accepted", "modified", "closed", "canceled", "denied", "rejected", "ignored", "dead"]
State = Literal["unresolved", "owed"]
StepKind = Literal["open", "reduce", "set"]
StepResult = Literal["done", "already", "denied", "rejected", "unresolved", "owed", "skipped"]

EFFECTIVE: frozenset[Result] = frozenset({"filled", "accepted", "modified", "closed", "canceled"})
"""Results of attempts that had an effect on the account; at most one attempt of a fact ends in one of them."""

REPLAYABLE: frozenset[Result] = frozenset({"denied", "rejected", "dead"})
"""Results after which the same fact may be tried again: the attempt ended without an effect."""


class StepReport(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One step of the answer to a fact: what was asked of MT5 and what is known of it.

    `volume` is in lots, prices are the account's, `ticket` is the order (for a step on a position: the position's).
    `at_stop` is what an opening with a stop loss would lose there, in the account's currency, as it was sized.
    `sent` and `answered` are taken in the process that called the vendor, right around the call.
    """

    name: str
    kind: StepKind
    action: str
    symbol: str
    result: StepResult
    side: Literal["buy", "sell"] | None = None
    volume: Decimal | None = None
    price: Decimal | None = None
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None
    at_stop: Decimal | None = None
    ticket: int | None = None
    deal: int | None = None
    mark: int | None = None
    retcode: int | None = None
    reason: str = ""
    text: str = ""
    sent: datetime | None = None
    answered: datetime | None = None


class Memory(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a commit changes in what an account remembers.

    `links` and `debts` are the executor's own structs by the link's key, as they are in Redis; null: forgotten.
    `passed` has the sequence of the last fact passed, by producer.
    """

    links: Mapping[str, Raw] = {}
    debts: Mapping[str, Raw] = {}
    passed: Mapping[str, int] = {}


class Outcome(Struct, frozen=True, kw_only=True, tag_field="kind", tag="outcome", omit_defaults=True):
    """The end of one attempt to follow one fact on one account.

    `reason` is one of a closed set of codes (docs list them) and `text` the same in a trader's words.
    `captured` repeats the fact's, `read` is when the lane got it, `committed` when this was written (all UTC).
    """

    fact: str
    account: str
    result: Result
    captured: datetime
    read: datetime
    committed: datetime
    attempt: int = 1
    entry: str = ""
    instrument: str = ""
    reason: str = ""
    text: str = ""
    steps: tuple[StepReport, ...] = ()
    memory: Memory | None = None


class Pending(Struct, frozen=True, kw_only=True, tag_field="kind", tag="pending", omit_defaults=True):
    """A fact whose end is not known yet (`unresolved`), or an exit that is still to be done (`owed`)."""

    fact: str
    account: str
    state: State
    since: datetime
    attempt: int = 1
    entry: str = ""
    instrument: str = ""
    reason: str = ""
    text: str = ""
    steps: tuple[StepReport, ...] = ()
    memory: Memory | None = None


class Deal(Struct, frozen=True, kw_only=True, tag_field="kind", tag="deal", omit_defaults=True):
    """A deal in the terminal's history. Money is in the account's currency; `time` is the broker's clock as UTC."""

    account: str
    deal: int
    order: int
    position: int
    symbol: str
    side: Literal["buy", "sell"]
    entry: Literal["in", "out", "inout", "out_by"]
    volume: Decimal
    price: Decimal
    time: datetime
    seen: datetime
    mark: int = 0
    profit: Decimal = Decimal(0)
    swap: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    reason: Literal["copier", "stop_loss", "take_profit", "stop_out", "hand"] = "copier"


class Drift(Struct, frozen=True, kw_only=True, tag_field="kind", tag="drift", omit_defaults=True):
    """The account and its sources disagree: told once when that is certain, and once more when it is over (`ended`).

    `finding` is what disagrees (a code of `executor.drift`) and `identity` which one, `position` the link that it is
    about, if any. `expected` and `actual` are signed lots, `remedy` says what would mend it. `since` is when it was
    seen first: account, identity and `since` are one disagreement.
    """

    account: str
    position: str
    symbol: str
    expected: Decimal
    actual: Decimal
    seen: datetime
    text: str = ""
    finding: str = ""
    identity: str = ""
    remedy: str = ""
    since: datetime | None = None
    ended: datetime | None = None


class Lacking(Struct, frozen=True):
    """Facts of one producer, from the `first` sequence to the `last`, both included."""

    producer: str
    first: int
    last: int


def spans(facts: Iterable[tuple[str, int]]) -> tuple[Lacking, ...]:
    """Facts, each by its producer and sequence, in as few as there can be."""
    found: list[Lacking] = []
    for producer, seq in sorted(set(facts)):
        if found and found[-1].producer == producer and found[-1].last == seq - 1:
            found[-1] = Lacking(producer, found[-1].first, seq)
        else:
            found.append(Lacking(producer, seq, seq))
    return tuple(found)


class Notice(Struct, frozen=True, kw_only=True, tag_field="kind", tag="notice", omit_defaults=True):
    """Something an operator must know that answers no fact: a state changed, an entry was removed, a login refused.

    `lacking` are facts that the account has still to follow, though its place may be beyond them.
    """

    account: str
    reason: str
    text: str
    seen: datetime
    lacking: tuple[Lacking, ...] = ()


class Kept(Struct, frozen=True, kw_only=True, tag_field="kind", tag="kept", omit_defaults=True):
    """What an account remembers from now on, where no outcome says it.

    `whole`: all of it, as its executor began with it; what came before counts no more. `state` has fields of the
    account's state. `removed`: the account was taken out, and this is what it held. `lacking` are facts that it has
    passed and that have no end by this memory, whatever was told of them before.
    """

    account: str
    seen: datetime
    memory: Memory
    whole: bool = False
    removed: bool = False
    state: Mapping[str, str] = {}
    lacking: tuple[Lacking, ...] = ()


Observation = Deal | Drift | Notice | Kept
Message = Outcome | Pending | Deal | Drift | Notice | Kept
