"""What a recording would have become: each call and poll with its facts, or why it gives none. Publishes nothing."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import UNSET

from ingest import picture as pictures
from ingest.calls import Note
from ingest.exchange import Exchange, Frame
from ingest.picture import Interpreted, Stamp
from ingest.scope import hosts
from ingest.source import Source
from ingest.state import Picture
from shared.facts import Fact, OrderFact

Moment = tuple[datetime, Exchange | Frame]


def explain(recording: Iterable[Moment], sources: Iterable[Source]) -> Iterator[str]:
    """A line per request, reply and message of a configured host, followed by a line per fact and per note."""
    follower, others = _Follower(tuple(sources)), 0
    for at, heard in sorted(recording, key=lambda moment: moment[0]):
        concerned = follower.concerned(heard)
        others += not concerned
        for source in concerned:
            yield from follower.tell(at, heard, source)
    if others:
        yield f"{others} requests, replies and messages belong to no configured source; hosts count exactly as written"


class _Follower:
    def __init__(self, sources: tuple[Source, ...]) -> None:
        self._sources = sources
        self._pictures: dict[tuple[str, str], Picture] = {}
        self._facts = 0

    def concerned(self, heard: Exchange | Frame) -> list[Source]:
        return [s for s in self._sources if (heard.host, heard.port) in hosts(s)]

    def tell(self, at: datetime, heard: Exchange | Frame, source: Source) -> Iterator[str]:
        events = pictures.hear(heard, source)
        if not events:
            return
        accounts = pictures.accounts(heard, source)
        yield f"{at:%H:%M:%S.%f} {source.name}: {_title(heard)}"
        for account in accounts:
            yield from _lines(self._hear(at, heard, source, account))
        if not accounts:
            yield from (f"    {_noted(event)}" for event in events if isinstance(event, Note))

    def _hear(self, at: datetime, heard: Exchange | Frame, source: Source, account: str) -> Interpreted:
        key = (source.name, account)
        before = self._pictures.get(key) or pictures.new_picture(source, account)
        stamp = Stamp(producer="recording", seq=self._facts + 1, captured=at)
        result = pictures.interpret(before, heard, source, stamp)
        self._pictures[key] = result.picture
        self._facts += len(result.facts)
        return result


def _title(heard: Exchange | Frame) -> str:
    if isinstance(heard, Frame):
        return f"websocket {heard.path.partition('?')[0]}"
    asked = f"{heard.method} {heard.path}"
    if heard.error:
        return f"{asked} failed: {heard.error}"
    return f"{asked} -> {heard.status}" if heard.status is not None else f"{asked} …"


def _lines(result: Interpreted) -> Iterator[str]:
    for fact in result.facts:
        yield f"    {_described(fact)}"
    for note in result.notes:
        yield f"    {_noted(note)}"


def _noted(note: Note) -> str:
    return f"{note.kind}: {note.text}" if note.text else note.kind


def _described(fact: Fact) -> str:
    exposure = fact.exposure
    order = f" order {fact.order.id}: {fact.order.side} {fact.order.quantity}" if isinstance(fact, OrderFact) else ""
    change = f"{exposure.before.total} -> {exposure.after.total}"
    return (
        f"{fact.__struct_config__.tag} {fact.instrument}{order}, position {exposure.position} {change}{_levels(fact)}"
    )


def _levels(fact: Fact) -> str:
    named = {"SL": fact.levels.stop_loss, "TP": fact.levels.take_profit, "trailing": fact.levels.trailing}
    return "".join(
        f", {f'no {name}' if value is None else f'{name} {value}'}"
        for name, value in named.items()
        if value is not UNSET
    )
