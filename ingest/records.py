"""The records of the outbox and what they add up to: a pure fold from a segment's records to the state after them.

A trading request is recorded as asked before it is forwarded, as replied before the reply passes, as answered with the
facts it became (and the picture of its source account after it), and each fact as published. A segment begins with a
snapshot of everything that is not a fact, so that a restart reads one segment, and older ones only for facts that were
not published yet.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from ingest.exchange import Exchange
from shared.facts import Fact


class Line(Struct, frozen=True, kw_only=True):
    """One source's place in the outbox: its producer, the last sequence given out, the last one known to be published.

    `owner` is the token by which we hold the source's lease, empty when we do not. `after` are the producers whose
    facts this one goes on from: while the last fact in the stream is theirs or our own, nobody else has written since.
    """

    producer: str
    seq: int = 0
    published: int = 0
    owner: str = ""
    after: tuple[str, ...] = ()


class Asked(Struct, frozen=True, kw_only=True, tag="asked", tag_field="record"):
    """A trading request is about to be forwarded; what becomes of it is not known yet."""

    source: str
    exchange: Exchange


class Replied(Struct, frozen=True, kw_only=True, tag="replied", tag_field="record", omit_defaults=True):
    """The reply to a request that was asked, as it is about to pass; what it becomes is not known yet."""

    source: str
    flow: str
    answered: datetime
    status: int | None = None
    answer: bytes | None = None


class Answered(Struct, frozen=True, kw_only=True, tag="answered", tag_field="record", omit_defaults=True):
    """What an exchange became. `flow` is settled by it; `pictures` are new ones, and patches of those that changed."""

    source: str
    flow: str = ""
    facts: tuple[Fact, ...] = ()
    pictures: Mapping[str, Raw] = {}


class Published(Struct, frozen=True, kw_only=True, tag="published", tag_field="record"):
    """The source's facts up to `seq` are in the orders stream."""

    source: str
    seq: int


class Renewed(Struct, frozen=True, kw_only=True, tag="renewed", tag_field="record"):
    """The source publishes under a new producer from here on; `facts` are restated under it, from 1."""

    source: str
    producer: str
    facts: tuple[Fact, ...]


class TakenOver(Struct, frozen=True, kw_only=True, tag="taken-over", tag_field="record"):
    """We go on under a new producer from what is in Redis, last written by `writer`: `facts` restate it, from 1.

    `overtaken` names the facts of the producer before that were not published and never will be: whoever wrote since
    has told what became of them. `pictures` are whole and replace those that were kept.
    """

    source: str
    producer: str
    writer: str
    facts: tuple[Fact, ...]
    pictures: Mapping[str, Raw]
    overtaken: tuple[str, ...] = ()


class Owned(Struct, frozen=True, kw_only=True, tag="owned", tag_field="record"):
    """We hold the source's lease by this token from here on; empty: another ingest has taken the source over."""

    source: str
    owner: str


class Snapshot(Struct, frozen=True, kw_only=True, tag="snapshot", tag_field="record"):
    """Everything at the beginning of a segment, but for the facts that wait in older ones."""

    lines: Mapping[str, Line] = {}
    pictures: Mapping[str, Any] = {}
    asked: tuple[Asked, ...] = ()


Record = Asked | Replied | Answered | Published | Renewed | TakenOver | Owned | Snapshot

_ENCODER = msgspec.json.Encoder()
_DECODER: "msgspec.json.Decoder[Record]" = msgspec.json.Decoder(Record)


def encode(record: Record) -> bytes:
    """The record as JSON, without line breaks."""
    return _ENCODER.encode(record)


def decode(content: bytes) -> Record:
    """The record in a line of a segment. Raises msgspec.DecodeError for what an older or newer version wrote
    unreadably.
    """
    return _DECODER.decode(content)


def follow(state: Snapshot, record: Record) -> Snapshot:
    """The state after one more record."""
    match record:
        case Snapshot():
            return record
        case Asked():
            return replace(state, asked=(*state.asked, record))
        case Replied():
            return replace(state, asked=tuple(with_reply(asked, record) for asked in state.asked))
        case Answered():
            return _answered(state, record)
        case Published():
            return _move(state, record.source, published=record.seq)
        case Renewed():
            return _begin(state, record, writer="")
        case TakenOver():
            pictures = {name: msgspec.json.decode(content) for name, content in record.pictures.items()}
            state = _begin(state, record, writer=record.writer)
            return replace(state, pictures={**state.pictures, **pictures})
        case Owned():
            return _move(state, record.source, owner=record.owner)
    assert_never(record)


def patched(picture: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A kept picture with a patch of `ingest.album` on it: fields are replaced, their entries one by one."""
    after = dict(picture)
    for name, value in patch.items():
        if isinstance(value, dict):
            entries = {**after.get(name, {}), **value}
            after[name] = {key: entry for key, entry in entries.items() if entry is not None}
        else:
            after[name] = value
    return after


def with_reply(asked: Asked, record: Replied | None) -> Asked:
    """A request with the reply that was put down for it, if it is this one's."""
    if record is None or asked.exchange.flow != record.flow:
        return asked
    exchange = replace(asked.exchange, status=record.status, answer=record.answer, answered=record.answered)
    return replace(asked, exchange=exchange)


def stated(record: Record) -> tuple[Fact, ...]:
    """The facts that a record brings."""
    return record.facts if isinstance(record, Answered | Renewed | TakenOver) else ()


def begun(line: Line, producer: str, facts: tuple[Fact, ...], writer: str = "") -> Line:
    """The line of a new producer that goes on from `line`, and from `writer` when another has written since."""
    after = (writer,) if writer else (*line.after, line.producer)
    return replace(line, producer=producer, seq=len(facts), published=0, after=after)


def whole(found: Iterable[Fact], line: Line) -> bool:
    """Whether these are all the facts of `line` that were not published, in their order."""
    return [fact.seq for fact in found] == list(range(line.published + 1, line.seq + 1))


def _answered(state: Snapshot, record: Answered) -> Snapshot:
    still = tuple(a for a in state.asked if a.exchange.flow != record.flow)
    changed = {k: patched(state.pictures.get(k, {}), msgspec.json.decode(v)) for k, v in record.pictures.items()}
    after = replace(state, asked=still, pictures={**state.pictures, **changed})
    return _move(after, record.source, seq=record.facts[-1].seq) if record.facts else after


def _begin(state: Snapshot, record: Renewed | TakenOver, *, writer: str) -> Snapshot:
    line = state.lines.get(record.source)
    if line is None:
        return state
    after = begun(line, record.producer, record.facts, writer)
    return replace(state, lines={**state.lines, record.source: after})


def _move(state: Snapshot, source: str, **to: int | str) -> Snapshot:
    line = state.lines.get(source)
    return replace(state, lines={**state.lines, source: replace(line, **to)}) if line else state
