"""A story that is heard by an intake with its outbox on disk, and that can die and begin again at any moment."""

from pathlib import Path

from prometheus_client import CollectorRegistry

from ingest.album import Album
from ingest.exchange import Exchange, Frame
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.picture import accounts
from ingest.source import Source
from shared.facts import Fact
from tests.ingest.story import Story


class Mortal(Story):
    """`die` is a kill: what was not on disk is gone, and the next breath settles what was asked."""

    def __init__(self, source: Source, path: Path, account: str = "10001") -> None:
        super().__init__(source, account)
        self._path = path
        self.deaths = 0
        self._begin()

    def _begin(self) -> None:
        name = self.source.name
        self._outbox = Outbox(self._path, [name], fresh=lambda source: f"{source}-1")
        self._outbox.own(name, "token")
        self._album = Album(self._outbox.pictures)
        metrics = Metrics(CollectorRegistry())
        self._intake = Intake([self.source], self._outbox, self._album, metrics, clock=lambda: self.now)
        self._intake.resume()
        self._look()

    def die(self) -> None:
        """Be killed, and start again."""
        self.deaths += 1
        self._outbox.close()
        self._begin()

    def end(self) -> None:
        """Leave no file open."""
        self._outbox.close()

    def hear(self, heard: Exchange | Frame) -> list[Fact]:
        before = len(self.facts)
        if self.account not in accounts(heard, self.source):
            return []
        if isinstance(heard, Frame):
            self._intake.seen(heard)
        elif heard.status is None and not heard.error:
            self._intake.asked(heard)
        else:
            self._intake.answered(heard)
        self._look()
        return self.facts[before:]

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._intake.look()
        self._look()

    def _look(self) -> None:
        self.facts = list(self._outbox.producers[self.source.name].waiting)
        self.picture = self._album.picture(self.source.name, self.account) or self.picture
