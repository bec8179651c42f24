"""Where what was captured becomes facts on disk: one exchange, every source and account it concerns, interpret, outbox.

Knows nothing of the proxy; the tap calls it, and so does a restart for what was asked before it. Nothing here waits.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial

from msgspec import Raw
from msgspec.structs import replace

from ingest import missed, untold
from ingest import picture as pictures
from ingest.album import Album
from ingest.calls import Note
from ingest.exchange import Exchange, Frame
from ingest.inheritance import adopted
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.picture import Interpreted, Stamp
from ingest.recording import Recorder
from ingest.routes import Routes, by_host
from ingest.scope import Host
from ingest.source import Source
from ingest.state import Picture
from ingest.times import not_after
from shared.facts import Fact

log = logging.getLogger(__name__)

Clock = Callable[[], datetime]


class Intake:
    """All sources of one ingest. `clock` tells UTC, `uncertainty` how far (s) it may be from the Redis server's.

    `aside` does what nobody has to wait for, counting and logging; at once unless somebody knows a better moment.
    """

    def __init__(
        self, sources: Iterable[Source], outbox: Outbox, album: Album, metrics: Metrics, *, clock: Clock,
        recorder: Recorder | None = None,
    ) -> None:  # fmt: skip
        self.sources = tuple(sources)
        self.uncertainty = 0.0
        self._outbox = outbox
        self._album = album
        outbox.remember = album.whole
        self._metrics = metrics
        self.clock = clock
        self._recorder = recorder
        self._complained: dict[tuple[str, str], list[str]] = {}
        self.aside: Callable[[Callable[[], None]], None] = lambda work: work()
        self._at = by_host(self.sources)
        self._routes = Routes(self._at)

    def put_off(self, later: Callable[[Callable[[], None]], None]) -> None:
        """From now on have done by `later` what nobody has to wait for; it keeps the order."""
        self.aside = self._outbox.journal.soon = later

    def opens(self, host: str, port: int) -> bool:
        """Whether the traffic of this host is ours to read."""
        for source in self._at.get((host, port), ()):  # noqa: SIM110  every request asks
            if self._owns(source):
                return True
        return False

    def opened(self) -> set[Host]:
        """The hosts whose traffic is ours to read: those of the sources that we own."""
        return {host for host in self._at if self.opens(*host)}

    def asked(self, exchange: Exchange) -> None:
        """A request came in. A trading call is on disk when this returns."""
        if self.journal(exchange):
            self.follow(exchange)

    def journal(self, exchange: Exchange) -> bool:
        """Put a request on disk if it is a trading call; whether it is. `follow` has to come before its reply."""
        is_call = False
        for source in self._routes.calls(exchange):
            if self._owns(source):
                self._outbox.ask(source.name, exchange)
                is_call = True
        return is_call

    def forwarded(self, exchange: Exchange) -> None:
        """A trading call has gone on to the broker."""
        self._outbox.forwarded()
        self.follow(exchange)

    def follow(self, exchange: Exchange) -> None:
        """Let the pictures know of a trading call that waits for its reply."""
        for source in self._concerned(exchange):
            if (asked := pictures.asks(exchange, source)) is not None:
                self._hear(source, asked.call.account, exchange)

    def awaits(self, flow: str) -> bool:
        """Whether a trading call waits for that reply."""
        return flow in self._outbox.asked

    def reply(self, flow: str, *, status: int | None, answer: bytes | None, answered: datetime) -> None:
        """Put the reply to a trading call on disk, before it passes; `answered` has to follow. It holds no secret."""
        self._outbox.reply(flow, status=status, answer=answer, answered=answered)

    @property
    def is_safe(self) -> bool:
        """Whether what was put down outlives our process."""
        return self._outbox.journal.is_safe

    async def safe(self) -> bool:
        """Wait until it does; False: the disk hangs, and nobody waits for it any longer."""
        return await self._outbox.written()

    def answered(self, exchange: Exchange) -> None:
        """A reply has passed, or never will (`error`). What it became is on disk when this returns."""
        self._passed(exchange)

    def seen(self, frame: Frame) -> None:
        """A websocket message passed."""
        self._passed(frame)

    def resume(self) -> None:
        """Settle what was asked before a restart: by its reply, or when there was none, by what the polls will show."""
        for exchange in [asked.exchange for asked in self._outbox.asked.values()]:
            if exchange.status is not None:
                self._resume_reply(exchange)
        for source in self.sources:
            waiting = [a.exchange for a in self._outbox.asked.values() if a.source == source.name]
            calls = [asked.call for e in waiting if (asked := pictures.asks(e, source)) is not None]
            for account in {call.account for call in calls} | self._album.accounts(source.name):
                stamp = self._stamp(source)
                picture = not_after(self._picture(source, account), stamp.captured)
                mine = [call for call in calls if call.account == account]
                self._keep(source, pictures.restarted(picture, source, stamp, mine), also=bool(mine))
            for exchange in waiting:
                self._outbox.answer(source.name, flow=exchange.flow)

    def _resume_reply(self, exchange: Exchange) -> None:
        """Read a reply that had come and not been read when we ended."""
        try:
            self.follow(replace(exchange, status=None, answer=None, answered=None))
            self.answered(exchange)
        except Exception:
            log.exception("a reply from before the restart cannot be read; the polls will show what became of it")

    def adopt(self, source_name: str, told: Sequence[Fact], memories: Mapping[str, Picture]) -> dict[str, Raw]:
        """Put what another ingest has left of a source in place of our pictures; how they are to be kept.

        `told` are facts, oldest first, `memories` what it remembered of each source account. What we know of an account
        that nobody has told of stays; what was asked and has no reply is settled by the polls.
        """
        source = next(s for s in self.sources if s.name == source_name)
        kept = {}
        for account in {fact.account for fact in told} | memories.keys():
            base = memories.get(account) or pictures.new_picture(source, account)
            if not base.polled:
                log.warning(
                    "%s/%s: nobody has told what was open before, so the next polls are a first look", *_of(base)
                )
            stamp = self._stamp(source)
            taken = adopted(base, told, stamp.captured)
            found = pictures.restarted(replace(taken, waiting=()), source, stamp)
            # What waited is heard when the source is ours: whoever takes over restates first, and tells nothing new.
            kept["/".join(_of(base))] = self._album.adopt(replace(found.picture, waiting=taken.waiting))
            self._note(source, found.notes)
        return kept

    def look(self) -> None:
        """State what nothing that passes has contradicted for long enough; to be called every second or so."""
        for source in self.sources:
            for picture in self._album.of(source.name) if self._owns(source) else ():
                if picture.removed or picture.late or (picture.waiting and not picture.open):
                    self._keep(source, pictures.elapsed(picture, source, self._stamp(source)), also=True)

    def forget(self, until: datetime) -> None:
        """The operator has seen what was put down as untold up to then."""
        for source in self.sources:
            for picture in self._album.of(source.name):
                self._album.put(missed.seen(picture, until))
        self.keep()

    def untold(self, source: str) -> list[str]:
        """What happened at a source and could not be told, until the operator has seen it; oldest first."""
        return [line for picture in self._album.of(source) for line in missed.lines(picture)]

    def keep(self) -> None:
        """Keep on disk what polls have changed in the pictures without giving a fact."""
        for source in self.sources:
            if kept := self._album.changes(source.name):
                self._outbox.answer(source.name, pictures=kept)

    def _passed(self, heard: Exchange | Frame) -> None:
        for source in self._concerned(heard):
            self._record(heard, source)
            accounts = pictures.accounts(heard, source)
            for account in accounts:
                self._hear(source, account, heard)
            if not accounts:
                self._note(source, (e for e in pictures.hear(heard, source) if isinstance(e, Note)))

    def _record(self, heard: Exchange | Frame, source: Source) -> None:
        """For the recording, if there is one; neither another account's nor other channels of the push host."""
        if self._recorder is None or self._recorder.wants_everything is None:
            return
        kinds = {event.kind for event in pictures.hear(heard, source) if isinstance(event, Note)}
        is_ours = isinstance(heard, Exchange) or bool(pictures.accounts(heard, source))
        if is_ours and "other-account" not in kinds:
            self._recorder.heard(heard, is_known="unknown" not in kinds)

    def _concerned(self, heard: Exchange | Frame) -> list[Source]:
        return [source for source in self._at.get((heard.host, heard.port), ()) if self._owns(source)]

    def _owns(self, source: Source) -> bool:
        return bool(self._outbox.producers[source.name].line.owner)

    def _picture(self, source: Source, account: str) -> Picture:
        return self._album.picture(source.name, account) or pictures.new_picture(source, account)

    def _stamp(self, source: Source) -> Stamp:
        producer = self._outbox.producers[source.name]
        return Stamp(producer=producer.id, seq=producer.next_seq, captured=self.clock(), uncertainty=self.uncertainty)

    def _hear(self, source: Source, account: str, heard: Exchange | Frame) -> None:
        before = self._picture(source, account)
        result = pictures.interpret(before, heard, source, self._stamp(source))
        is_reply = isinstance(heard, Exchange) and (heard.status is not None or bool(heard.error))
        settled = heard.flow if is_reply and heard.flow in self._outbox.asked else ""
        is_pushed = isinstance(heard, Frame) and result.picture is not before  # and will never be pushed again
        self._keep(source, result, settled, also=bool(settled) or is_pushed)

    def _keep(self, source: Source, result: Interpreted, settled: str = "", *, also: bool = False) -> None:
        """Put what came of it on disk: at once when there is a fact, a first look or something to settle."""
        before, after = self._album.picture(source.name, result.picture.account), result.picture
        is_first = before is None or before.polled.keys() != after.polled.keys() or _learnt(before, after)
        is_new = self._album.put(after)
        if result.facts or is_new or is_first or also:
            kept = self._album.changes(source.name)
            self._outbox.answer(source.name, flow=settled, facts=result.facts, pictures=kept)
        self.aside(partial(self._tell, source, before, result))

    def _tell(self, source: Source, before: Picture | None, result: Interpreted) -> None:
        """Count what was found, and say what is wrong."""
        for fact in result.facts:
            self._metrics.captured(fact)
        if before is None or before.answered is not result.picture.answered:
            self._metrics.polled(source.name, result.picture.answered.values())
        self._note(source, result.notes)
        self._complain(result.picture)

    def _complain(self, picture: Picture) -> None:
        """Say what keeps trades of an account from being published: once, until it changes."""
        found, before = untold.complaints(picture), self._complained.get(_of(picture), [])
        if found != before:
            self._complained[_of(picture)] = found
            for said in found:
                if said not in before:
                    log.error("%s", said)
            if not found:
                log.info("%s/%s: trades are published from now on", *_of(picture))

    def _note(self, source: Source, notes: Iterable[Note]) -> None:
        for note in notes:
            self._metrics.noted(source.name, note.kind)
            if note.kind == "untold":
                log.error("%s: nobody was told: %s; `ingest untold` lists it", source.name, note.text)
            if note.kind == "unknown" and self._metrics.unknown(source.name, note.text):
                log.warning("%s: traffic that nobody knows: %s; `ingest record` shows more", source.name, note.text)


def _learnt(before: Picture, after: Picture) -> bool:
    """Whether something is known now that the page asks for only once, that the operator has to be shown, or by which
    the next call may name a position: it may come before another poll does."""
    if len(before.early) != len(after.early) or before.withheld.keys() != after.withheld.keys():
        return True
    if before.missed is not after.missed or _renamed(before, after):
        return True
    return before.model != after.model or before.instruments is not after.instruments


def _renamed(before: Picture, after: Picture) -> bool:
    """Whether the panel shows other positions, or one is known by another id at the source."""
    if before.panel is not after.panel and before.panel.keys() != after.panel.keys():
        return True
    if before.positions is after.positions:
        return False
    known = before.positions.get
    return any((old := known(p.key)) is not p and (old is None or old.position_id != p.position_id)
               for p in after.positions.values() if p.position_id)  # fmt: skip


def _of(picture: Picture) -> tuple[str, str]:
    return picture.source, picture.account
