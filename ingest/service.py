"""Ingest, put together: the outbox, one owner and one courier per source, the proxy with its tap; started and stopped
in order.

Before the proxy listens, what was asked before a restart is settled and the sources are ours or known to be another's.
At the end the proxy stops first and what waits gets a moment to go out; what does not is there at the next start.
"""

import asyncio
import logging
import secrets
import socket
import time
from contextlib import AsyncExitStack
from functools import partial

from redis.asyncio import Redis
from redis.exceptions import RedisError

from ingest import blindness, notice, untold
from ingest.album import Album
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.ownership import LEASE_S, Ownership
from ingest.plan import Plan
from ingest.proxy import Proxy
from ingest.publishing import Courier
from ingest.recording import Recorder
from ingest.settings import parse_listen, shown
from ingest.steady import Steady
from ingest.succession import Succession
from ingest.tap import Tap
from shared import clock, keyfile, streams, vitals
from shared.durability import unsafe
from shared.lease import Lease
from shared.metrics import new_registry, served
from shared.plainly import plainly
from shared.process import Stop, UserError, announce, settled
from shared.streams import Keys, Publisher
from shared.vitals import SourceVitals
from shared.wire import Codec

log = logging.getLogger(__name__)

TEND_EVERY_S, KEEP_EVERY_S = 1.0, 10.0
"""How often the outbox is tended, and pictures that polls changed without a fact are kept on disk."""
REMEMBER_EVERY_S = 1.0
"""How often Redis is told what a successor needs to know, as far as it is new."""
MEASURE_EVERY_S = 30.0
"""How often our clock is compared with the Redis server's."""
LAST_CALL_S = 2.0
"""How long waiting facts may still go out when we are asked to stop."""


async def serve(stop: Stop, plan: Plan) -> None:
    """Capture and publish until asked to stop. Raises UserError for what the user can mend."""
    async with AsyncExitStack() as stack:
        service = Service(stop, plan)
        stack.push_async_callback(service.close)
        await stack.enter_async_context(served(service.metrics.registry, plan.settings.metrics, service.problems))
        await service.start()
        await stop.wait()
        await service.finish()


class Service:
    """The parts of one ingest and their order."""

    def __init__(self, stop: Stop, plan: Plan) -> None:
        names = [source.name for source in plan.sources]
        self._keys = keys = Keys(plan.namespace)
        self._stop, self._plan = stop, plan
        self.metrics = Metrics(new_registry("ingest"))
        self._redis = streams.connect(plan.redis_url)
        self._outbox = Outbox(
            plan.places.outbox, names, fresh=lambda name: f"{name}-{secrets.token_hex(4)}", reach=plan.reach
        )  # fmt: skip
        self._album, self._clock = Album(self._outbox.pictures), Steady(time.time_ns, time.monotonic_ns)
        self._recorder, now = Recorder(plan.places.outbox), self._clock.now
        self._intake = Intake(
            plan.sources, self._outbox, self._album, self.metrics, clock=now, recorder=self._recorder
        )  # fmt: skip
        for name in names:
            self.metrics.watch_age(name, partial(blindness.age, self._album, name, now))
            self.metrics.watch_untold(name, partial(self._untold, name))
            self.metrics.watch_blind(name, partial(self._is_blind, name))
            self.metrics.watch_held_back(name, partial(self._held_back, name))
        codec, box, adopt = Codec(plan.namespace, plan.keyring), self._outbox, self._intake.adopt
        self._heir = Succession(self._redis, keys, codec, box, self.metrics, adopt)
        self._owners = [self._owner(name, keys) for name in names]
        publisher = Publisher(self._redis, keys, codec)
        self._couriers = [Courier(owner, box, publisher, self._heir, self.metrics) for owner in self._owners]
        listen = parse_listen(plan.settings.listen, "listen")
        tap, ca = Tap(self._intake, self.metrics), plan.settings.upstream_ca_file
        self._proxy = Proxy(listen, plan.places.confdir, tap, upstream_ca=ca, auth=plan.settings.proxy_auth)
        self.metrics.watch(self._outbox)

    async def start(self) -> None:
        """Return when the proxy accepts connections."""
        await self._first_look()
        self._intake.resume()
        self._proxy.prepare(self._intake.opened())
        self._serving = self._stop.supervise(self._proxy.run(), "proxy")
        self._stop.supervise(self._tend(), "tend")
        self._stop.supervise(self._look_for_wishes(), "wishes")
        self._stop.supervise(self._watch_redis(), "watch redis")
        self._stop.supervise(self._keep_remembering(), "remember")
        self._stop.supervise(self._tell_vitals(), "vitals")
        self._stop.supervise(keyfile.follow(self._plan.keyring), "signing key")
        for owner, courier in zip(self._owners, self._couriers, strict=True):
            self._stop.supervise(owner.keep(), f"lease of {owner.source}")
            self._stop.supervise(courier.run(), f"publish {courier.source}")
        address = await self._proxy.started()
        settled()
        self._announce(*address)

    async def finish(self) -> None:
        """Take nothing in any more, let out what waits, let another ingest have the sources."""
        self._proxy.stop()
        await asyncio.wait({self._serving}, timeout=LAST_CALL_S)
        try:
            async with asyncio.timeout(LAST_CALL_S):
                for producer in self._outbox.producers.values():
                    await producer.idle.wait()
        except TimeoutError:
            log.warning("%d facts stay in the outbox and go out at the next start", self._waiting())
        self._intake.keep()
        await self._remember()
        await self._stop.end_tasks()
        for owner in self._owners:
            await owner.release()

    async def close(self) -> None:
        """Close what was opened, whatever happened."""
        await self._stop.end_tasks()
        self._recorder.close()
        self._outbox.close()
        await self._redis.aclose()

    def problems(self) -> list[str]:
        """What is wrong now, for whoever asks after our health."""
        found = self._outbox.journal.problems()
        found += [f"source {owner.source} belongs to another ingest" for owner in self._owners if not owner.owned]
        ours = [owner.source for owner in self._owners if owner.owned]
        found += [said for name in ours for said in self._blindness(name)]
        found += [said for name in ours for said in self._held_back(name)]
        return found + [f"{courier.source}: Redis takes no facts" for courier in self._couriers if courier.holding]

    def _owner(self, name: str, keys: Keys) -> Ownership:
        lease = Lease(self._redis, keys.source("lease", name), duration=LEASE_S, owner=socket.gethostname())
        return Ownership(name, lease, self._outbox, self._owners_changed, self._heir.settle)

    def _owners_changed(self) -> None:
        self._proxy.open(self._intake.opened())

    async def _first_look(self) -> None:
        try:
            await require_safe(self._redis)
            for owner in self._owners:
                await owner.claim()
        except RedisError as error:
            log.error(
                "Redis does not answer (%s): capturing goes on where we owned the source, facts wait on disk",
                plainly(error),
            )

    async def _watch_redis(self) -> None:
        """Compare the clocks, and look whether a Redis that was away at the start is one that can be trusted."""
        while True:
            try:
                await require_safe(self._redis)
                offset = await clock.measure(self._redis, wall=self._clock.nanoseconds)
                self._intake.uncertainty = (abs(offset.ns) + offset.uncertainty_ns) / 1e9
            except RedisError as error:
                log.debug("the clocks cannot be compared: %s", error)
            await asyncio.sleep(MEASURE_EVERY_S)

    async def _keep_remembering(self) -> None:
        while True:
            await asyncio.sleep(REMEMBER_EVERY_S)
            await self._remember()

    async def _remember(self) -> None:
        try:
            for owner in self._owners:
                if owner.owned:
                    await self._heir.remember(owner.source, self._album.of(owner.source))
        except RedisError as error:
            log.debug("what a successor needs could not be kept: %s", error)

    async def _tell_vitals(self) -> None:
        """Tell `status` how the sources are."""
        while True:
            try:
                for owner in self._owners:
                    if owner.owned:
                        await vitals.tell_source(self._redis, self._keys, owner.source, self._vitals(owner.source))
            except RedisError as error:
                log.debug("how the sources are could not be told: %s", error)
            await asyncio.sleep(vitals.EVERY_S)

    def _vitals(self, source: str) -> SourceVitals:
        waiting, polled = len(self._outbox.producers[source].waiting), self.metrics.polls.get(source)
        untold = tuple(self._intake.untold(source))
        blind = bool(self._blindness(source))
        return SourceVitals(
            at=self._clock.now(), owned=True, waiting=waiting, polled=polled, blind=blind, untold=untold,
            unwritten=self._outbox.journal.stuck, held_back=tuple(self._held_back(source)),
        )  # fmt: skip

    def _blindness(self, source: str) -> list[str]:
        return blindness.complaints(self._album, [source], self._clock.now())

    def _held_back(self, source: str) -> list[str]:
        return [said for picture in self._album.of(source) for said in untold.complaints(picture)]

    def _is_blind(self, source: str) -> bool:
        """Whether it is ours to look at, and nobody does."""
        owned = any(owner.owned for owner in self._owners if owner.source == source)
        return owned and bool(self._blindness(source))

    def _untold(self, source: str) -> int:
        return len(self._intake.untold(source))

    async def _look_for_wishes(self) -> None:
        """What somebody has put down beside the outbox. A disk that hangs holds up this and nothing else."""
        place, aside = self._plan.places.outbox, self._outbox.aside
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            if await aside.result(self._recorder.has_to_look):
                self._recorder.look(self._clock.now())
            if (until := await aside.result(partial(notice.wished, place))) is not None:
                self._intake.forget(until)
                await aside.result(partial(notice.done, place))

    async def _tend(self) -> None:
        kept = time.monotonic()
        while True:
            await asyncio.sleep(TEND_EVERY_S)
            self._outbox.tend(time.time())
            self._intake.look()
            # Until the clocks are compared again: a clock that was just set back is known to be off by that much.
            self._intake.uncertainty = max(self._intake.uncertainty, self._clock.ahead)
            for owner in self._owners:
                self.metrics.owned(owner.source, ours=owner.owned)
            if time.monotonic() - kept > KEEP_EVERY_S:
                kept = time.monotonic()
                self._intake.keep()

    def _announce(self, host: str, port: int) -> None:
        names = ", ".join(source.name for source in self._plan.sources)
        log.info("the proxy listens on %s for %s", shown((host, port)), names, extra={"waiting": self._waiting()})
        announce(self._plan.ready_file, shown((host, port)))

    def _waiting(self) -> int:
        return sum(len(producer.waiting) for producer in self._outbox.producers.values())


async def require_safe(redis: Redis) -> None:
    """Raise UserError when this server would lose trades."""
    if found := await unsafe(redis):
        raise UserError("; ".join(found))
