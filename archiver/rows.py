"""What an entry of a stream becomes in the archive: a row, a dead letter, or nothing yet.

Pure: the same entry makes the same row on any machine at any time, so the archive can be made again from the streams
and two archivers that read the same entry write the same thing.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from msgspec import Struct

from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row
from shared import facts, outcomes, wire

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ZERO = Decimal(0)


class Unreadable(Struct, frozen=True):
    """The entry is forged or broken and will never be a row. `reason` is a code, `text` says the same in words."""

    reason: str
    text: str


class Held(Struct, frozen=True):
    """The entry needs a key or a version that we do not have: it stays pending in its stream until it can be read."""

    reason: str
    text: str


Verdict = facts.Fact | outcomes.Message | wire.Refused


def record(namespace: str, entry: str, fields: wire.Fields, verdict: Verdict) -> Row | Unreadable | Held:
    """What becomes of one entry, given its id, its fields and what the wire made of them."""
    match verdict:
        case wire.Malformed():
            return Unreadable("malformed", verdict.text)
        case wire.BadSignature():
            return Unreadable("bad-signature", f"the signature is not that of key {verdict.key!r}")
        case wire.RetiredKey():
            return Unreadable("retired-key", f"signed with key {verdict.key!r}, which was retired")
        case wire.UnknownKey():
            return Held("unknown-key", f"signed with key {verdict.key!r}, which is not in the signing key file")
        case wire.UnknownKind():
            return Held("unknown-kind", f"the kind {verdict.kind!r} is newer than this version")
        case _:
            return _readable(namespace, entry, fields, verdict)


def _readable(
    namespace: str, entry: str, fields: wire.Fields, message: facts.Fact | outcomes.Message
) -> Row | Unreadable:
    try:
        return _row(_signed(namespace, entry, fields), message)
    except UnicodeDecodeError as error:
        return Unreadable("malformed", f"the message is not UTF-8 at byte {error.start}")
    except OverflowError:
        return Unreadable("malformed", "a time in the message lies outside the years 1 to 9999")


def _row(signed: dict[str, Any], message: facts.Fact | outcomes.Message) -> Row:
    match message:
        case outcomes.Outcome():
            return _outcome(signed, message)
        case outcomes.Pending():
            return _pending(signed, message)
        case outcomes.Deal():
            return _deal(signed, message)
        case outcomes.Drift():
            return _drift(signed, message)
        case outcomes.Notice():
            return _notice(signed, message)
        case outcomes.Kept():
            return _kept(signed, message)
        case _:
            return _fact(signed, message)


def _signed(namespace: str, entry: str, fields: wire.Fields) -> dict[str, Any]:
    """The fields of Signed; a dict, because a struct would only be taken apart again for every row."""
    milliseconds, _ = wire.entry_order(entry)
    return {
        "namespace": namespace,
        "entry": entry,
        "published": EPOCH + timedelta(milliseconds=milliseconds),
        "m": fields[b"m"],
        "k": fields[b"k"].decode("ascii"),
        "s": fields[b"s"].decode("ascii"),
        "body": fields[b"m"].decode("utf-8"),
    }


def _fact(signed: dict[str, Any], fact: facts.Fact) -> FactRow:
    before, after = fact.exposure.before, fact.exposure.after
    return FactRow(
        **signed,
        **_order(fact),
        id=fact.id,
        captured=_utc(fact.captured),
        producer=fact.producer,
        seq=fact.seq,
        asked=_utc(fact.asked) if fact.asked else None,
        kind=str(fact.__struct_config__.tag),
        source=fact.source,
        source_account=fact.account,
        instrument=fact.instrument,
        model=fact.model,
        evidence=fact.evidence,
        price=fact.price,
        position=fact.exposure.position,
        position_id=fact.exposure.position_id,
        revision=fact.exposure.revision,
        held_before=before.held,
        coming_before=before.coming,
        held_after=after.held,
        coming_after=after.coming,
        stop_loss=_level(fact.levels.stop_loss),
        take_profit=_level(fact.levels.take_profit),
    )


def _order(fact: facts.Fact) -> dict[str, Any]:
    order = fact.order if isinstance(fact, facts.OrderFact) else None
    return {
        "order_id": order.id if order else None,
        "order_type": order.type if order else None,
        "side": order.side if order else None,
        "quantity": order.quantity if order else None,
    }


def _level(level: facts.Level) -> Decimal | None:
    return level if isinstance(level, Decimal) else None


def _outcome(signed: dict[str, Any], outcome: outcomes.Outcome) -> OutcomeRow:
    resting = outcome.result == "accepted"
    return OutcomeRow(
        **signed,
        **_steps(outcome.steps),
        **_traded("opened", [] if resting else outcome.steps, "open"),
        **_traded("reduced", outcome.steps, "reduce"),
        account=outcome.account,
        fact=outcome.fact,
        attempt=outcome.attempt,
        result=outcome.result,
        final=True,
        at=_utc(outcome.captured),
        read=_utc(outcome.read),
        committed=_utc(outcome.committed),
        instrument=outcome.instrument,
        reason=outcome.reason,
        text=outcome.text,
    )


def _pending(signed: dict[str, Any], state: outcomes.Pending) -> OutcomeRow:
    return OutcomeRow(
        **signed,
        **_steps(state.steps),
        **_traded("opened", [], "open"),
        **_traded("reduced", [], "reduce"),
        account=state.account,
        fact=state.fact,
        attempt=state.attempt,
        result=state.state,
        final=False,
        at=_utc(state.since),
        read=None,
        committed=_utc(state.since),
        instrument=state.instrument,
        reason=state.reason,
        text=state.text,
    )


def _steps(steps: Sequence[outcomes.StepReport]) -> dict[str, Any]:
    return {
        "sent": min((_utc(s.sent) for s in steps if s.sent), default=None),
        "answered": max((_utc(s.answered) for s in steps if s.answered), default=None),
        "symbol": steps[0].symbol if steps else None,
        "tickets_opened": [s.ticket for s in steps if s.kind == "open" and s.ticket],
        "deals_opened": [s.deal for s in steps if s.kind == "open" and s.deal],
        "deals_reduced": [s.deal for s in steps if s.kind == "reduce" and s.deal],
        "marks_opened": [s.mark for s in steps if s.kind == "open" and s.mark],
        "marks_reduced": [s.mark for s in steps if s.kind == "reduce" and s.mark],
    }


def _traded(name: str, steps: Sequence[outcomes.StepReport], kind: outcomes.StepKind) -> dict[str, Any]:
    """Lots that were traded for sure, and their average price where each step's price is known."""
    done = [(s.volume, s.price) for s in steps if s.kind == kind and s.result == "done" and s.volume]
    if not done:
        return {f"lots_{name}": ZERO, f"price_{name}": None}
    lots = sum((volume for volume, _ in done), ZERO)
    priced = [volume * price for volume, price in done if price is not None]
    average = sum(priced, ZERO) / lots if len(priced) == len(done) else None
    return {f"lots_{name}": lots, f"price_{name}": average}


def _utc(time: datetime) -> datetime:
    """The same moment in UTC. Raises OverflowError where that is not within the years 1 to 9999."""
    if time.tzinfo is UTC:
        return time
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _deal(signed: dict[str, Any], deal: outcomes.Deal) -> ObservationRow:
    return ObservationRow(
        **signed,
        account=deal.account,
        kind="deal",
        identity=str(deal.deal),
        at=_utc(deal.time),
        seen=_utc(deal.seen),
        symbol=deal.symbol,
        reason=deal.reason,
        deal=deal.deal,
        order_ticket=deal.order,
        position_ticket=deal.position,
        mark=deal.mark,
        side=deal.side,
        direction=deal.entry,
        volume=deal.volume,
        price=deal.price,
        profit=deal.profit,
        swap=deal.swap,
        commission=deal.commission,
    )


def _drift(signed: dict[str, Any], drift: outcomes.Drift) -> ObservationRow:
    return ObservationRow(
        **signed,
        account=drift.account,
        kind="drift",
        identity=_content(signed),
        at=_utc(drift.seen),
        seen=_utc(drift.seen),
        symbol=drift.symbol,
        text=drift.text,
        position=drift.position,
        expected=drift.expected,
        actual=drift.actual,
        finding=drift.finding,
        subject=drift.identity,
        remedy=drift.remedy,
        since=_utc(drift.since or drift.seen),
        ended=_utc(drift.ended) if drift.ended else None,
    )


def _notice(signed: dict[str, Any], notice: outcomes.Notice) -> ObservationRow:
    return ObservationRow(
        **signed,
        account=notice.account,
        kind="notice",
        identity=_content(signed),
        at=_utc(notice.seen),
        seen=_utc(notice.seen),
        reason=notice.reason,
        text=notice.text,
    )


def _kept(signed: dict[str, Any], kept: outcomes.Kept) -> ObservationRow:
    return ObservationRow(
        **signed,
        account=kept.account,
        kind="kept",
        identity=_content(signed),
        at=_utc(kept.seen),
        seen=_utc(kept.seen),
        reason="removed" if kept.removed else "whole" if kept.whole else "",
    )


def _content(signed: dict[str, Any]) -> str:
    """What has no id of its own is known by its bytes."""
    return hashlib.sha256(signed["m"]).hexdigest()[:32]
