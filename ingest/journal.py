"""Records on their way to the disk, in their order, by a thread of their own: a disk that hangs stops no proxy.

A record is safe from the end of our process when `write` returns: it is on the slate, in the machine's memory, and
follows to the disk by itself. Where there is no slate, `write` waits for the disk for a moment, and who has to have it
there asks for `settled`; nobody waits for longer than `PATIENCE_S` in one go: then all go on without, loudly. Records
wait in memory as long as the disk hangs, or is full, and are written when it is back.
"""

import asyncio
import errno
import logging
import os
from collections import deque
from collections.abc import Callable
from functools import partial
from threading import Lock
from time import monotonic

from msgspec import Struct

from ingest.aside import Aside
from ingest.segments import Directory, Segment, Syncer
from ingest.slate import LONGEST, Place, Slate

log = logging.getLogger(__name__)

INLINE_S = 0.01
"""For so long the event loop itself waits for a record that is on no slate. To be told by the thread costs more than
most writes take; and no more than one write can hold up the loop, for while one is under way no other is waited for."""
PATIENCE_S = 1.0
"""How long the disk may take over a record before those who wait for it go on without. A trader who has to get out of a
position notices a second; a disk that syncs a lot for others takes tenths of one."""
CLOSING_S = 5.0
"""How long the disk may take over what is left when we end."""


class Waiting(Struct, frozen=True):
    """Somebody who waits for the record with that number, and those before it."""

    number: int
    future: "asyncio.Future[None]"

    def tell(self) -> None:
        """It is settled. Called from the thread; whoever waited may be gone."""
        try:
            self.future.get_loop().call_soon_threadsafe(self._wake)
        except RuntimeError:
            log.debug("nobody waits for the journal any more")

    def _wake(self) -> None:
        if not self.future.done():
            self.future.set_result(None)


class Journal:
    """Writes to the newest segment of `directory`, which begins with `snapshot`; `aside` syncs. One thread calls it.

    Raises OSError when there is no room for the snapshot. `slate` is begun anew, what it had has to be on disk.
    """

    def __init__(self, directory: Directory, snapshot: bytes, aside: Aside, slate: Slate | None = None) -> None:
        self._directory = directory
        self._aside = aside
        self.syncer = Syncer(aside)
        self.segment = self._begun(snapshot)
        self._pen = Aside("journal")
        self._records = self._written = self._given = self._done = 0
        self._under_way: deque[float] = deque()
        self._unwritten: deque[bytes] = deque()
        self._waiting: deque[Waiting] = deque()
        self._parcels: deque[bytes | Callable[[], None]] = deque()
        self.soon: Callable[[Callable[[], None]], object] = _next_round
        self._given_up = False
        self.refused = False
        self._slate = slate
        self._slated = self.segment
        self._where = str(directory.path.resolve())
        self._begin_slate()

    @property
    def held(self) -> int:
        """How many records are in memory only."""
        return self._records - self._written

    @property
    def stuck(self) -> int:
        """How many records are in memory only because the disk is full or hangs."""
        return self.held if self.refused or self.is_overdue else 0

    @property
    def is_settled(self) -> bool:
        """Whether the disk has taken, or refused, everything that was written."""
        return self._done == self._given

    @property
    def is_safe(self) -> bool:
        """Whether everything that was written outlives our process."""
        return (self._slate is not None and self._slate.is_good) or self.is_settled

    @property
    def is_overdue(self) -> bool:
        """Whether the disk has been at one record for longer than anybody waits."""
        return self._oldest() + PATIENCE_S < monotonic()

    def problems(self) -> list[str]:
        """What is wrong now, for whoever asks after our health."""
        found = [f"the outbox cannot be written: {self.held} records are in memory only"] if self.refused else []
        found += [f"the disk hangs: {self.held} records of the outbox are in memory only"] if self.is_overdue else []
        return found + (["the outbox cannot be synced"] if self.syncer.failing else [])

    def write(self, record: bytes) -> None:
        """Put down one record of JSON without line breaks; see the module for when this returns."""
        self._freshen()
        self._records += 1
        if self._slate is None or not self._slate.add(record):
            self._hand(partial(self._put_down, record))
            return
        self._given += 1
        self._parcels.append(record)
        if len(self._parcels) == 1:
            self._send_soon()

    def flushed(self, within: float) -> bool:
        """Wait where we stand until the disk has taken or refused everything; whether it has in so many seconds."""
        self._send()
        done = Lock()
        done.acquire()
        self._pen.do(done.release)
        return done.acquire(timeout=within)

    async def settled(self) -> bool:
        """Wait for the disk; False: it had its time, and is still at what was written before this."""
        until = self._oldest() + PATIENCE_S
        waiting = Waiting(self._given, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if not self.is_settled:  # looked at after the thread can see us
            try:
                async with asyncio.timeout(max(0.0, until - monotonic())):
                    await waiting.future
            except TimeoutError:
                self._give_up()
                return False
        return True

    def tend(self, snapshot: Callable[[], bytes], longest: int) -> None:
        """Try again what was refused; begin a new segment with `snapshot` when this one is longer than `longest`."""
        if not self.is_settled:
            return
        self._freshen()
        if self.refused:
            self._hand(self._flush)
        elif self.segment.size > longest:
            self._hand(partial(self._turn, snapshot()))

    def close(self) -> bool:
        """Write and sync what is left; whether the disk was done with it in time."""
        self._send()
        self.syncer.hurry()
        self._pen.do(self._flush)
        if not self._pen.close(CLOSING_S):
            is_kept = self._slate is not None and self._slate.is_good
            left = "are put there at the next start" if is_kept else "are lost, the polls will show"
            log.error("the disk of the outbox does not answer: %d records %s", self.held, left)
            return False
        self._aside.do(self.segment.close)
        if self._slate is not None:
            self._slate.close(remove=not self.held)
        return True

    def _oldest(self) -> float:
        try:
            return self._under_way[0]
        except IndexError:
            return monotonic()

    def _freshen(self) -> None:
        """Begin the slate anew where that is due and the disk has everything."""
        slate = self._slate
        if slate is None:
            return
        is_due = slate.size > LONGEST or not slate.is_good or self._slated is not self.segment
        if is_due and not self.held and self.is_settled:
            self._begin_slate()

    def _begin_slate(self) -> None:
        if self._slate is not None:
            at = self._slated = self.segment
            self._slate.begin(Place(directory=self._where, segment=at.path.name, size=at.size, crc=at.crc))

    def _hand(self, work: Callable[[], None]) -> None:
        """Have something done in the thread, and wait for a moment, unless it is at something else already."""
        done = Lock() if self.is_settled else None
        if done is not None:
            done.acquire()
        self._given += 1
        self._parcels.append(partial(self._carry_out, work, done))
        self._send()
        if done is not None:
            done.acquire(timeout=INLINE_S)

    def _send_soon(self) -> None:
        """Let the event loop send what there is in its next round. To wake the thread can cost us the processor, on a
        busy machine for milliseconds, so whoever waits for what is done now goes first: it is on the slate.
        """
        try:
            self.soon(self._send)
        except RuntimeError:  # no loop is running
            self._send()

    def _send(self) -> None:
        while self._parcels:
            parcel = self._parcels.popleft()
            if isinstance(parcel, bytes):
                parcel = partial(self._carry_out, partial(self._put_down, parcel), None)
            self._under_way.append(monotonic())
            self._pen.do(parcel)

    def _give_up(self) -> None:
        if not self._given_up and not self.is_settled:
            log.error(
                "the disk of the outbox does not answer: trading calls and facts go on without it, and what is not on "
                "disk would be lost with this process: see what holds up %s", self._directory.path,
            )  # fmt: skip
            self._given_up = True

    # --- in the thread ----------------------------------------------------------------------------------------------

    def _carry_out(self, work: Callable[[], None], done: "Lock | None") -> None:
        try:
            work()
        finally:
            self._under_way.popleft()
            self._done += 1
            if done is not None:
                done.release()
            self._tell()

    def _tell(self) -> None:
        while self._waiting and self._waiting[0].number <= self._done:
            self._waiting.popleft().tell()
        if self._given_up and self.is_settled:
            self._given_up = False
            log.warning("the disk of the outbox answers again; %d records are still in memory", self.held)

    def _put_down(self, record: bytes) -> None:
        self._unwritten.append(record)
        self._flush()

    def _flush(self) -> None:
        """Write what waits, oldest first. The first failure of a row is said."""
        try:
            while self._unwritten:
                self.segment.append(self._unwritten[0])
                self._unwritten.popleft()
                self._written += 1
        except OSError as error:
            level = logging.DEBUG if self.refused else logging.ERROR
            self.refused = True
            log.log(level, "the outbox cannot be written, facts wait in memory only: %s", why(error))
        else:
            self.refused = False
            self.syncer.written(self.segment)

    def _turn(self, snapshot: bytes) -> None:
        try:
            new = self._begun(snapshot)
        except OSError as error:
            log.error("%s: no new segment can be begun: %s", self._directory.path, why(error))
            return
        full, self.segment = self.segment, new
        self._aside.do(partial(self._retire, full))

    def _begun(self, snapshot: bytes) -> Segment:
        segment = self._directory.begin()
        try:
            segment.append(snapshot)
        except OSError:
            segment.discard()
            raise
        self.syncer.written(segment)
        return segment

    def _retire(self, full: Segment) -> None:
        """Sync what a full segment holds, and its follower's name."""
        try:
            self._directory.sync()
            full.close()
        except OSError as error:
            log.error("%s: a full segment cannot be synced to disk: %s", full.path, error.strerror)


def _next_round(work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(work)


def why(error: OSError) -> str:
    """What the disk says, for people."""
    return "the disk is full: free some space" if error.errno == errno.ENOSPC else os.strerror(error.errno or 0)
