"""The archiver: one intake per stream, and from time to time a trim; everything else is decided elsewhere."""

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

import archiver.settings
from archiver import migrate
from archiver.backlog import Backlog
from archiver.detach import Detacher
from archiver.intake import Intake, Judge, Pace, Stream
from archiver.metrics import Metrics
from archiver.patience import LONGEST_WAIT_S, Away, delay, one_line, wait, worth_saying
from archiver.rows import Verdict, record
from archiver.store import Store
from archiver.strangers import Strangers, shown
from archiver.trim import Trimmer
from shared import groups, keyfile, settings, streams
from shared.addresses import redis_url
from shared.metrics import new_registry, served
from shared.process import Stop, UserError, announce
from shared.streams import Entry, Keys, Reader
from shared.wire import Codec, Fields, Keyring

log = logging.getLogger(__name__)

GROUP = "archiver"
TRIM_EVERY_S = 60.0
MONTHS_EVERY_S = 6 * 3600.0
"""How often next month's partitions are looked for; they are made two months ahead."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the archiver runs with. `name` tells archivers that share the work apart; after a restart the one with the
    same name takes up what it had in hand.
    """

    redis_url: str
    namespace: str
    dsn: str
    keyring: Keyring
    settings: archiver.settings.Archiver
    name: str = ""
    ready_file: Path | None = None


def plan(config: Path, environment: Mapping[str, str], *, name: str = "", ready_file: Path | None = None) -> Plan:
    """What to run with, from the settings file. Raises SettingsError."""
    document = settings.read(config, environment)
    redis = settings.section(document, "redis", settings.Redis)
    return Plan(
        redis_url=redis_url(redis),
        namespace=redis.namespace,
        dsn=archiver.settings.dsn(document),
        keyring=settings.keyring(settings.section(document, "security", settings.Security)),
        settings=archiver.settings.load(document),
        name=name,
        ready_file=ready_file,
    )


async def serve(stop: Stop, plan: Plan) -> None:
    """Archive until asked to stop. Raises UserError when the database is not at our version."""
    await _wait_for_schema(stop, plan.dsn)
    metrics = Metrics(new_registry("archiver"), _now)
    async with AsyncExitStack() as stack:
        intakes = [await _intake(stack, plan, name, metrics) for name in ("orders", "outcomes")]
        store = await stack.enter_async_context(Store(plan.dsn))
        strangers = Strangers()
        trimmer, detacher = await _trimmer(stack, plan, strangers), await _detacher(stack, plan, strangers)
        stop.supervise(_repeat(stop, MONTHS_EVERY_S, partial(_make_months, store)), "months ahead")
        stop.supervise(_repeat(stop, TRIM_EVERY_S, partial(_trim, detacher, trimmer, metrics)), "trim")
        if plan.settings.metrics is not None:
            await stack.enter_async_context(served(metrics.registry, plan.settings.metrics, partial(_ill, intakes)))
        for intake in intakes:
            stop.supervise(intake.run(stop), "intake")
        stop.supervise(_announce(intakes, plan.ready_file), "announce")
        stop.supervise(keyfile.follow(plan.keyring), "signing key")
        await stop.wait()
        # Before their connections are closed. What they hold in hand stays pending and is taken up at the next start.
        await stop.end_tasks()


def _ill(intakes: Sequence[Intake]) -> list[str]:
    return [intake.trouble for intake in intakes if intake.trouble]


async def _intake(stack: AsyncExitStack, plan: Plan, name: str, metrics: Metrics) -> Intake:
    redis, keys = await _redis(stack, plan), Keys(plan.namespace)
    store = await stack.enter_async_context(Store(plan.dsn))
    key = keys.orders if name == "orders" else keys.outcomes
    consumer = plan.name or socket.gethostname()
    stream = Stream(
        name=name,
        reader=Reader(redis, key, GROUP, consumer),
        backlog=Backlog(redis, key, GROUP, consumer),
        judge=_judge(plan, name),
        bury=partial(_bury, redis, keys),
        join=partial(groups.join_archive, redis, key, GROUP),
    )
    return Intake(stream, store, Pace(size=plan.settings.batch_size, linger=plan.settings.linger), metrics)


def _judge(plan: Plan, name: str) -> Judge:
    codec = Codec(plan.namespace, plan.keyring)
    read: Callable[[Fields], Verdict] = codec.fact if name == "orders" else codec.outcome
    return lambda entry: record(plan.namespace, entry.id, entry.fields, read(entry.fields))


async def _bury(redis: Redis, keys: Keys, entry: Entry, reason: str, text: str) -> None:
    await streams.bury(redis, keys, entry, reader=GROUP, reason=reason, text=text)


async def _redis(stack: AsyncExitStack, plan: Plan) -> Redis:
    redis = streams.connect(plan.redis_url)
    stack.push_async_callback(redis.aclose)
    return redis


async def _wait_for_schema(stop: Stop, dsn: str) -> None:
    failures = 0
    while not stop.requested:
        try:
            found = await asyncio.to_thread(migrate.check, dsn)
        except Away as error:
            if worth_saying(failures):
                log.warning("the archive waits for PostgreSQL: %s", one_line(error))
            await wait(stop, delay(failures))
            failures += 1
            continue
        if (wrong := migrate.complaint(found)) is not None:
            raise UserError(wrong)
        return


async def _announce(intakes: Sequence[Intake], ready_file: Path | None) -> None:
    for intake in intakes:
        await intake.working.wait()
    log.info("archiving")
    announce(ready_file, str(os.getpid()))


async def _repeat(stop: Stop, every: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` now and every so many seconds; a server that is away is asked again a little later."""
    while not stop.requested:
        try:
            await work()
            pause = every
        except (Away, RedisError, OSError) as error:
            log.debug("put off: %s", error)
            pause = min(LONGEST_WAIT_S, every)
        await wait(stop, pause)


async def _make_months(store: Store) -> None:
    await store.make_months(months_ahead(_now()))


def _now() -> datetime:
    return datetime.now(UTC)


def months_ahead(now: datetime) -> set[tuple[int, int]]:
    """This month and the two that follow."""
    first = now.year * 12 + now.month - 1
    return {(n // 12, n % 12 + 1) for n in range(first, first + 3)}


async def _trimmer(stack: AsyncExitStack, plan: Plan, strangers: Strangers) -> Trimmer:
    retention_ms = int(plan.settings.retention * 24 * 3600 * 1000)
    return Trimmer(await _redis(stack, plan), Keys(plan.namespace), GROUP, retention_ms, strangers)


async def _detacher(stack: AsyncExitStack, plan: Plan, strangers: Strangers) -> Detacher:
    after_ms = int(plan.settings.detach_after * 24 * 3600 * 1000)
    return Detacher(await _redis(stack, plan), Keys(plan.namespace), GROUP, after_ms, strangers=strangers)


async def _trim(detacher: Detacher, trimmer: Trimmer, metrics: Metrics) -> None:
    for account in await detacher.detach():
        log.error("account %s is detached: nobody has read for it for so long; its place is kept", shown(account))
    metrics.detached([each.account for each in await detacher.detached()])
    cuts = await trimmer.trim()
    metrics.trimmed(cuts)
    metrics.measured(await trimmer.usage())
    for stream, decided in cuts.items():
        if decided.holder is not None:
            log.warning(
                "%s: group %s has not read up to the retention; entries from %s on are kept for it",
                stream, shown(decided.holder), decided.before,
            )  # fmt: skip
