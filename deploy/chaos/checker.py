"""Pure: compares what a trader did with what every side shows afterwards, by rules of its own.

What should be open is computed from the story alone, but for openings that an outcome says were refused: those count as
not made, though what was told after them may have brought the account to the source's total all the same.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct

from deploy.chaos.evidence import Evidence, Terminal
from deploy.chaos.story import Statement

ZERO = Decimal(0)
ROUNDING = Decimal("0.016")
"""By how much sizes may differ once an opening was refused: halves of what is left need not be whole steps."""

Fault = Literal["lost", "silent", "doubled", "unresolved", "wrong"]


class Finding(Struct, frozen=True):
    """Something that must not be."""

    fault: Fault
    text: str


def check(statements: Sequence[Statement], evidence: Evidence) -> list[Finding]:
    """Everything that is wrong; empty when nothing is."""
    told = Counter(_id(s) for s in statements)
    found = [*_stream(told, evidence), *_left(evidence)]
    for account, terminal in evidence.terminals.items():
        messages = [o for o in evidence.outcomes if o.get("account") == account]
        found += _ends(account, told, [o for o in messages if o["kind"] == "outcome"])
        found += _marks(account, terminal)
        found += _sizes(account, statements, messages, terminal)
        found += _archived(account, told, evidence)
    return found


def settled(statements: Sequence[Statement], evidence: Evidence) -> bool:
    """Whether every fact has come to an end on every side, for better or worse."""
    told = {_id(s) for s in statements}
    ends = {(o["account"], o["fact"]) for o in evidence.outcomes if o["kind"] == "outcome"}
    archived = {(account, fact) for account, fact, _ in evidence.archived_ends}
    wanted = {(account, fact) for account in evidence.terminals for fact in told}
    quiet = not any(evidence.pending.values()) and not any(evidence.debts.values())
    return quiet and wanted <= ends and wanted <= archived and told <= evidence.archived_facts


def _id(statement: Statement) -> str:
    return statement.fact or f"chaos/1/position:{statement.position}/{statement.revision}"


def _stream(told: Mapping[str, int], evidence: Evidence) -> Iterator[Finding]:
    there = Counter(evidence.facts)
    for fact, times in told.items():
        if not there[fact]:
            yield Finding("lost", f"{fact} was accepted and is not in the stream")
        elif there[fact] > times:
            yield Finding("doubled", f"{fact} is in the stream {there[fact]} times, told {times} times")
        if fact not in evidence.archived_facts:
            yield Finding("lost", f"{fact} was accepted and is not in the archive")


def _left(evidence: Evidence) -> Iterator[Finding]:
    for account, count in evidence.pending.items():
        if count:
            yield Finding("unresolved", f"{account}: {count} entries are pending at the end")
    for account, count in evidence.debts.items():
        if count:
            yield Finding("unresolved", f"{account}: {count} exits are owed at the end")
    for text in evidence.dead:
        yield Finding("wrong", f"a dead letter: {text}")


def _ends(account: str, told: Mapping[str, int], outcomes: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    ends = Counter((o["fact"], o.get("attempt", 1)) for o in outcomes)
    for fact in told:
        if not ends[fact, 1]:
            yield Finding("silent", f"{account}: {fact} has no final outcome")
    for (fact, attempt), count in ends.items():
        if count > 1:
            yield Finding("doubled", f"{account}: {fact} has {count} final outcomes for attempt {attempt}")


def _marks(account: str, terminal: Terminal) -> Iterator[Finding]:
    """The same mark on the deals of two orders: something was sent twice."""
    orders: dict[int, set[int]] = defaultdict(set)
    for deal in terminal.deals:
        if deal.mark:
            orders[deal.mark].add(deal.order)
    for mark, tickets in orders.items():
        if len(tickets) > 1:
            yield Finding("doubled", f"{account}: mark {mark} was executed as orders {sorted(tickets)}")


def _archived(account: str, told: Mapping[str, int], evidence: Evidence) -> Iterator[Finding]:
    rows = Counter((fact, attempt) for name, fact, attempt in evidence.archived_ends if name == account)
    for fact in told:
        if not rows[fact, 1]:
            yield Finding("silent", f"{account}: the end of {fact} is not in the archive")
    for (fact, attempt), count in rows.items():
        if count > 1:
            yield Finding("doubled", f"{account}: the archive has {count} ends of {fact}, attempt {attempt}")


def _sizes(
    account: str, statements: Sequence[Statement], messages: Sequence[Mapping[str, Any]], terminal: Terminal
) -> Iterator[Finding]:
    opened = _opened(messages)
    wanted, refused = expected(statements, {fact for fact, marks in opened.items() if marks})
    positions = {_id(s): s.position for s in statements}
    owners = {mark: positions[fact] for fact, marks in opened.items() for mark in marks if fact in positions}
    if account != "net":
        yield from _stops(account, statements, owners, terminal)
    strays = [f"{lots} {symbol}" for (_, symbol, mark), lots in terminal.open.items() if mark not in owners]
    if strays and account != "net":
        yield Finding("doubled", f"{account}: open, and nothing tells of it: {', '.join(strays)}")
    groups = _by_instrument if account == "net" else _by_position
    for name, (wants, have) in groups(statements, wanted, refused, owners, terminal).items():
        want = min(wants, key=lambda size: abs(size - have))
        if abs(want - have) > (ZERO if len(wants) == 1 else ROUNDING):
            fault: Fault = "lost" if abs(have) < abs(want) or want * have < 0 else "wrong"
            yield Finding(fault, f"{account}: {name} should be {want} lots and is {have}")


def _stops(
    account: str, statements: Sequence[Statement], owners: Mapping[int, str], terminal: Terminal
) -> Iterator[Finding]:
    wanted = stops(statements)
    for (ticket, symbol, mark), stop in terminal.stops.items():
        want = wanted.get(owners.get(mark, ""))
        if want is not None and want != stop:
            text = f"position {ticket} of {symbol} has its stop at {stop} and should have it at {want}"
            yield Finding("lost", f"{account}: {text}")


Sizes = Mapping[str, tuple[Sequence[Decimal], Decimal]]
"""What may be open by name, and what is. It is one size, and exact, where nothing was refused."""


def _by_position(
    statements: Sequence[Statement],
    wanted: Mapping[str, Decimal],
    refused: set[str],
    owners: Mapping[int, str],
    terminal: Terminal,
) -> Sizes:
    have: dict[str, Decimal] = defaultdict(Decimal)
    for (_, _, mark), lots in terminal.open.items():
        have[owners.get(mark, "")] += lots
    allowed = _allowed(statements, wanted, refused)
    return {position: (sizes, have[position]) for position, sizes in allowed.items()}


def _by_instrument(
    statements: Sequence[Statement],
    wanted: Mapping[str, Decimal],
    refused: set[str],
    _owners: Mapping[int, str],
    terminal: Terminal,
) -> Sizes:
    names, allowed = {s.position: s.instrument for s in statements}, _allowed(statements, wanted, refused)
    found: dict[str, tuple[Sequence[Decimal], Decimal]] = {}
    for instrument in set(names.values()):
        sums = {ZERO}
        for position in (p for p, i in names.items() if i == instrument):
            sums = {before + size for before in sums for size in allowed[position]}
        have = sum((lots for (_, symbol, _), lots in terminal.open.items() if symbol == instrument), ZERO)
        found[instrument] = (tuple(sums), have)
    return found


def _allowed(
    statements: Sequence[Statement], wanted: Mapping[str, Decimal], refused: set[str]
) -> Mapping[str, Sequence[Decimal]]:
    """What may be open of each position: of one with a refused opening, what is left of the rest, or the whole."""
    newest = {s.position: s for s in sorted(statements, key=lambda s: s.revision)}
    whole = {position: s.after.total for position, s in newest.items()}
    return {p: (wanted[p], total) if p in refused else (wanted[p],) for p, total in whole.items()}


def _opened(messages: Sequence[Mapping[str, Any]]) -> dict[str, set[int]]:
    """The marks that each fact is said to have been opened under, by its end, or before that when it came too late."""
    found: dict[str, set[int]] = defaultdict(set)
    for message in messages:
        for step in message.get("steps", ()):
            if step["action"] == "open" and step["result"] == "done":
                found[message["fact"]].add(step.get("mark", 0))
    return found


def expected(statements: Sequence[Statement], opened: set[str]) -> tuple[dict[str, Decimal], set[str]]:
    """What should be open of each position, and the positions of which an opening was refused."""
    ours: dict[str, Decimal] = defaultdict(Decimal)
    source: dict[str, Decimal] = defaultdict(Decimal)
    newest: dict[str, int] = defaultdict(int)
    refused: set[str] = set()
    for s in statements:
        if s.revision <= newest[s.position]:
            continue
        newest[s.position] = s.revision
        own, before, after, made = ours[s.position], source[s.position], s.after.total, _id(s) in opened
        grows = before * after < 0 or abs(after) > abs(before)
        if grows and not made:
            refused.add(s.position)
        ours[s.position] = _own(own, before, after, made=made)
        source[s.position] = after
    return ours, refused


def stops(statements: Sequence[Statement]) -> dict[str, Decimal]:
    """Where the stop of each position should be, 0 for none; without those that were turned round since."""
    found: dict[str, Decimal] = {}
    newest: dict[str, int] = defaultdict(int)
    turned: set[str] = set()
    for s in statements:
        if s.revision <= newest[s.position]:
            continue
        newest[s.position] = s.revision
        found.setdefault(s.position, ZERO)
        if s.stop is not None:
            found[s.position] = s.stop.normalize()
            turned.discard(s.position)
        elif s.before.total * s.after.total < 0:
            turned.add(s.position)
    return {position: stop for position, stop in found.items() if position not in turned}


def _own(own: Decimal, before: Decimal, after: Decimal, *, made: bool) -> Decimal:
    if after == 0:
        return ZERO
    if before * after < 0:
        return after if made else ZERO
    if abs(after) > abs(before):
        return own + after - before if made else own
    return own * after / before if after != before else own
