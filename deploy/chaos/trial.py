"""One trial: a story is told through a pipeline while its faults happen; then all is healed, settled and compared."""

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

import msgspec
from msgspec import Struct

from deploy.chaos import checker, evidence
from deploy.chaos.checker import Finding
from deploy.chaos.faults import Fault, schedule
from deploy.chaos.pipeline import ACCOUNTS, SERVER, Pipeline, Servers
from deploy.chaos.story import Statement, story
from deploy.chaos.timing import Timing
from deploy.chaos.wreck import Wreck
from shared import streams

log = logging.getLogger(__name__)

PACE_S = 0.03
BREATH_S = 0.6
"""How long the trader waits after a fault: long enough to be seen, short enough that faults overlap."""
AGAIN_S = 0.5
SETTLE_S = 60.0
PATIENCE_S = 150.0
"""For telling the story through its faults; it takes about ten seconds."""
LOOK_S = 0.3


class Result(Struct, frozen=True, kw_only=True):
    """What a trial found."""

    seed: int
    findings: tuple[Finding, ...]
    faults: dict[str, int]
    reached: dict[str, int]
    actions: int
    ends: dict[str, int]
    seconds: float

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
    """Run one trial. `faults` replaces the seed's own schedule."""
    began = monotonic()
    statements = story(seed, actions)
    planned = schedule(seed, actions, tuple(ACCOUNTS)) if faults is None else faults
    pipeline = Pipeline(folder, servers, f"chaos-{seed}-{folder.name}", timing, through)
    wreck = Wreck(pipeline, timing)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await pipeline.start()
            await _through(pipeline, wreck, statements, planned)
            await wreck.heal()
        found = await _settled(pipeline, statements)
    finally:
        await pipeline.stop()
    _keep(folder, statements, planned, found)
    crashes = [Finding("wrong", text) for text in pipeline.crashes]
    ends = Counter(o["result"] for o in found.outcomes if o["kind"] == "outcome")
    return Result(
        seed=seed,
        findings=(*checker.check(statements, found), *crashes),
        faults=dict(Counter(f.kind for f in planned)),
        reached=dict(pipeline.reached),
        actions=len(statements),
        ends=dict(ends),
        seconds=monotonic() - began,
    )


async def _through(pipeline: Pipeline, wreck: Wreck, statements: Sequence[Statement], faults: Sequence[Fault]) -> None:
    planned: dict[int, list[Fault]] = defaultdict(list)
    for fault in faults:
        planned[fault.at].append(fault)
    teller = Teller(pipeline, statements)
    for number, _ in enumerate(statements):
        for fault in planned[number]:
            log.debug("%s: %s", pipeline.namespace, fault)
            await wreck.happen(fault)
        await teller.tell(number + 1)
        await asyncio.sleep(BREATH_S if number - 2 in planned and planned[number - 2] else PACE_S)


async def _settled(pipeline: Pipeline, statements: Sequence[Statement]) -> evidence.Evidence:
    deadline = monotonic() + SETTLE_S
    redis = streams.connect(pipeline.servers.valkey.url)
    try:
        while True:
            found = await _gathered(pipeline, redis)
            if checker.settled(statements, found) or monotonic() > deadline:
                return found
            await asyncio.sleep(LOOK_S)
    finally:
        await redis.aclose()


async def _gathered(pipeline: Pipeline, redis: object) -> evidence.Evidence:
    """All sides; the terminals last, so that nothing which the others call ended is missing there."""
    told = await evidence.streams(redis, pipeline.namespace, ACCOUNTS)
    archived = await asyncio.to_thread(evidence.archive, pipeline.servers.postgres.dsn, pipeline.namespace)
    terminals = {
        account: await asyncio.to_thread(evidence.terminal, pipeline.addresses[account], login, SERVER)
        for login, account in enumerate(ACCOUNTS, start=1)
    }
    return evidence.Evidence(terminals=terminals, **archived, **told)


def _keep(folder: Path, statements: Sequence[Statement], faults: Sequence[Fault], found: evidence.Evidence) -> None:
    """Put down everything that a failed trial can be understood from; beside the logs."""
    sides = {name: getattr(found, name) for name in ("facts", "outcomes", "pending", "debts", "dead")}
    deals = {account: terminal.deals for account, terminal in found.terminals.items()}
    for name, content in (("story", statements), ("faults", faults), ("sides", sides), ("deals", deals)):
        (folder / f"{name}.json").write_bytes(msgspec.json.format(msgspec.json.encode(content)))
