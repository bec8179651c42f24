"""One trial: a story is told through a pipeline while its faults happen; then all is healed, settled and compared."""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct
from redis.exceptions import ConnectionError as RedisConnectionError

from deploy.chaos import checker, evidence
from deploy.chaos.checker import Finding
from deploy.chaos.faults import Fault, schedule
from deploy.chaos.pipeline import HEDGING, MIXED, SERVER, Pipeline, Servers
from deploy.chaos.story import Statement, story
from deploy.chaos.timing import Timing
from deploy.chaos.wreck import Wreck
from shared import streams

log = logging.getLogger(__name__)

PACE_S, SLOW_S = 0.03, 0.3
BREATH_S = 0.2
"""How long the trader waits after a fault: it is seen, and still there when the next one comes."""
SETTLE_S = 180.0
PATIENCE_S = 300.0
"""For telling the story through its faults; it takes about ten seconds where the machine has nothing else to do."""
LOOK_S = 0.3


class Result(Struct, frozen=True, kw_only=True):
    """What a trial found. `doubles` were brought about by a pause inside the vendor's call, and closed again."""

    seed: int
    findings: tuple[Finding, ...]
    faults: dict[str, int]
    reached: dict[str, int]
    actions: int
    ends: dict[str, int]
    seconds: float
    doubles: int = 0

    @property
    def good(self) -> bool:
        """Whether nothing was wrong."""
        return not self.findings


def broken(seed: int, why: str) -> Result:
    """A trial that could not be judged counts as failed."""
    finding = Finding("unresolved", why)
    return Result(seed=seed, findings=(finding,), faults={}, reached={}, actions=0, ends={}, seconds=0.0)


class Teller:
    """Tells the story to ingest, again and again until it says that it has it in its journal."""

    def __init__(self, pipeline: Pipeline, statements: Sequence[Statement]) -> None:
        self._pipeline = pipeline
        self._statements = statements
        self.accepted = 0
        self._offered = 0

    async def tell(self, upto: int) -> None:
        """Tell the actions up to this one (counted from 1) and return when they are accepted."""
        while self.accepted < upto:
            part = self._pipeline.parts["ingest"]
            told = part.running
            if not part.alive or told is None or told.stdin is None or told.stdout is None:
                await asyncio.sleep(LOOK_S / 10)
                continue
            with suppress(OSError, ValueError):
                line = msgspec.json.encode(self._statements[self.accepted]) + b"\n"
                told.stdin.write(line)
                told.stdin.flush()
                answer = await asyncio.to_thread(told.stdout.readline)
                if answer.startswith(b"accepted "):
                    self.accepted = int(answer.split()[1])


async def trial(
    seed: int,
    servers: Servers,
    folder: Path,
    timing: Timing,
    actions: int,
    faults: Sequence[Fault] | None = None,
    through: Sequence[str] = ("-m", "deploy"),
) -> Result:
    """Run one trial. `faults` replaces the seed's own schedule.

    Even seeds have two hedging accounts; odd ones have a netting account, and nothing long against something short.
    """
    began = monotonic()
    accounts, opposed = (HEDGING, True) if seed % 2 == 0 else (MIXED, False)
    statements = story(seed, actions, opposed=opposed)
    planned = schedule(seed, actions, tuple(accounts)) if faults is None else faults
    pipeline = Pipeline(folder, servers, f"chaos-{folder.name}", timing, accounts, through)
    wreck = Wreck(pipeline, timing)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await pipeline.start()
            await _through(pipeline, wreck, statements, planned)
            await wreck.heal()
        found = await settled(pipeline, statements)
    finally:
        await wreck.stop()
        await pipeline.stop()
    _keep(folder, statements, planned, found)
    crashes = [Finding("wrong", text) for text in pipeline.crashes]
    return Result(
        seed=seed,
        findings=(*checker.check(statements, found), *crashes),
        faults=dict(Counter(f.kind for f in planned)),
        reached=dict(pipeline.reached),
        actions=len(statements),
        ends=evidence.ends(found.outcomes),
        seconds=monotonic() - began,
    )


async def _through(pipeline: Pipeline, wreck: Wreck, statements: Sequence[Statement], faults: Sequence[Fault]) -> None:
    """Tell the story. While a process is on its way to a point, no other fault interferes and time goes slower."""
    waiting, teller = deque(faults), Teller(pipeline, statements)
    for number, _ in enumerate(statements):
        if waiting and waiting[0].at <= number and not wreck.armed:
            log.debug("%s: %s", pipeline.namespace, waiting[0])
            await wreck.happen(waiting.popleft())
            await asyncio.sleep(BREATH_S)
        await teller.tell(number + 1)
        await asyncio.sleep(SLOW_S if wreck.armed else PACE_S)
    while waiting:
        await wreck.happen(waiting.popleft())
        await asyncio.sleep(BREATH_S)


async def settled(pipeline: Pipeline, statements: Sequence[Statement], patience: float = SETTLE_S) -> evidence.Evidence:
    """What every side has when all facts have come to their end, or when `patience` (seconds) is over."""
    deadline = monotonic() + patience
    redis = streams.connect(pipeline.servers.valkey.url)
    try:
        while True:
            try:
                found = await _gathered(pipeline, redis)
            except RedisConnectionError:  # to a server that is no primary any more, or not yet back
                if monotonic() > deadline:
                    raise
            else:
                if checker.settled(statements, found) or monotonic() > deadline:
                    return found
            await asyncio.sleep(LOOK_S)
    finally:
        await redis.aclose()


async def _gathered(pipeline: Pipeline, redis: object) -> evidence.Evidence:
    """All sides; the terminals last, so that nothing which the others call ended is missing there."""
    told = await evidence.streams(redis, pipeline.namespace, pipeline.accounts)
    archived = await asyncio.to_thread(evidence.archive, pipeline.servers.postgres.dsn, pipeline.namespace)
    terminals = {
        account: await asyncio.to_thread(evidence.terminal, pipeline.addresses[account], login, SERVER)
        for login, account in enumerate(pipeline.accounts, start=1)
    }
    return evidence.Evidence(terminals=terminals, **archived, **told)


def _keep(folder: Path, statements: Sequence[Statement], faults: Sequence[Fault], found: evidence.Evidence) -> None:
    """Put down everything that a failed trial can be understood from; beside the logs."""
    sides = {name: getattr(found, name) for name in ("facts", "outcomes", "pending", "debts", "dead")}
    deals = {account: terminal.deals for account, terminal in found.terminals.items()}
    for name, content in (("story", statements), ("faults", faults), ("sides", sides), ("deals", deals)):
        (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(content)))
