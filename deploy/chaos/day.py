"""One trial with everything as a user runs it: the real proxy between a trader and a broker, and `up` around it all.

The trader acts at random while services, servers, terminals and the supervisor itself are killed, the broker's replies
are cut, and the proxy ends itself at each point of a call's way; or, in a rolling restart, while each service is asked
to end in turn, consumers first. At the end the broker's own book, the stream, the outcomes, the terminals and the
archive have to say the same.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from time import monotonic

import msgspec
from redis.exceptions import RedisError

from deploy.chaos import booked, checker, evidence
from deploy.chaos.checker import Finding
from deploy.chaos.desk import POLL_S, SERVER, Desk
from deploy.chaos.faults import PROXY_CRASHES, Fault
from deploy.chaos.hand import Hand
from deploy.chaos.pipeline import HEDGING, MIXED
from deploy.chaos.timing import Timing
from deploy.chaos.trial import Result
from deploy.demo.broker import ACCOUNTS
from deploy.demo.trader import Trader
from shared import streams

KILLS = ("ingest", "executor", "archiver", "redis", "postgres", "terminal")
CUTS = ("cut-reply", "cut-broker", "cut-replies")
FROM_OUTSIDE = (*(f"kill-{name}" for name in KILLS), "kill-supervisor", *CUTS)
DAY_FAULTS = tuple(
    kind
    for _, kind in sorted(
        ((n + 0.5) / len(kinds), kind) for kinds in (FROM_OUTSIDE, PROXY_CRASHES) for n, kind in enumerate(kinds)
    )
)
"""Both spread over each other: a proxy that ends again and again is started later and later."""
ROLLING = ("archiver", "executor", "terminal", "ingest", "postgres", "redis")
"""The order of a rolling restart: who reads before who writes, and the servers last."""
DAYS_EVERY = 5
"""One seed in so many is a day; it takes longer than a trial."""
PACE_S, BREATH_S = 0.02, 0.3
SETTLE_S, LOOK_S = 120.0, 0.4
PATIENCE_S, PATIENT_S = 120.0, 0.5
"""For the whole day and, besides, for each of its actions."""
CRASHES = (b"Traceback (most recent call last)", b'"level":"critical"')
"""What a log must not have, whatever was killed or restarted."""


def schedule(seed: int, actions: int, count: int = 6) -> list[Fault]:
    """So many faults of a seed's day; the kinds go round from day to day."""
    random = Random(seed * 7919 + 3)
    start = seed // DAYS_EVERY * count
    kinds = [DAY_FAULTS[(start + i) % len(DAY_FAULTS)] for i in range(count)]
    random.shuffle(kinds)
    times = sorted(random.randrange(5, max(6, actions - 5)) for _ in kinds)
    return [
        Fault(at=at, kind=kind, account="", nth=random.randint(1, 2)) for at, kind in zip(times, kinds, strict=True)
    ]


def rolling(actions: int) -> list[Fault]:
    """Each service is restarted once, evenly over the day."""
    share = actions // (len(ROLLING) + 1)
    return [Fault(at=share * n, kind=f"restart-{name}", account="", nth=1) for n, name in enumerate(ROLLING, start=1)]


async def day(
    seed: int,
    folder: Path,
    timing: Timing,
    actions: int,
    faults: Sequence[Fault] | None = None,
) -> Result:
    """Run one. `faults` replaces the seed's own schedule. Raises UserError when it could not be run."""
    began = monotonic()
    accounts, opposed = (HEDGING, True) if seed % 2 == 0 else (MIXED, False)
    planned = schedule(seed, actions) if faults is None else faults
    desk = Desk(folder, timing, accounts)
    trader: Trader | None = None
    try:
        await desk.start()
        trader = Trader(desk.seat(), POLL_S)
        await trader.sit_down()
        hand = Hand(trader, desk.broker.books[ACCOUNTS[0]], Random(seed), opposed=opposed)
        async with asyncio.timeout(PATIENCE_S + actions * PATIENT_S):
            await _through(desk, hand, planned, actions)
        found = await _settled(desk)
    finally:
        if trader is not None:
            await trader.leave()
        await desk.stop()
    return _result(seed, desk, found, planned, hand, monotonic() - began)


async def _through(desk: Desk, hand: Hand, planned: Sequence[Fault], actions: int) -> None:
    """Act, and some more where a fault has not had its turn. No other one interferes while the proxy is armed."""
    waiting, number = deque(planned), 0
    while number < actions or waiting or desk.armed:
        if waiting and waiting[0].at <= number and not desk.armed:
            await happen(desk, waiting.popleft())
            await asyncio.sleep(BREATH_S)
        while not await hand.act():  # noqa: ASYNC110  another process has to come back
            await asyncio.sleep(PACE_S)
        await asyncio.sleep(PACE_S)
        number += 1
    await hand.close_most()


async def happen(desk: Desk, fault: Fault) -> None:
    """Make a fault happen."""
    what, _, name = fault.kind.partition("-")
    match what, name:
        case "kill", "supervisor":
            await desk.kill_supervisor()
        case "kill", _:
            desk.kill(name)
        case "restart", _:
            await desk.restart(name)
        case "proxy", _:
            desk.arm(name.removeprefix("dies-at-"), fault.nth)
        case "cut", "broker":
            desk.gate.cut()
        case _:
            desk.broker.cuts += 1 if name == "reply" else 3


class Side(msgspec.Struct, frozen=True):
    """What all sides say, and what is wrong with it."""

    evidence: evidence.Evidence
    findings: tuple[Finding, ...]


async def _settled(desk: Desk) -> Side:
    """What every side has when all agree, or when it has taken too long."""
    deadline = monotonic() + SETTLE_S
    while True:
        try:
            side = await _gathered(desk)
            if not side.findings or monotonic() > deadline:
                return side
        except (RedisError, OSError):
            if monotonic() > deadline:
                raise
        await asyncio.sleep(LOOK_S)


async def _gathered(desk: Desk) -> Side:
    around = desk.surroundings
    redis = streams.connect(around.redis_url())
    try:
        told = await evidence.streams(redis, around.machine.redis.namespace, desk.accounts)
    finally:
        await redis.aclose()
    archived = await asyncio.to_thread(evidence.archive, around.dsn(), around.machine.redis.namespace)
    terminals = {
        account: await asyncio.to_thread(evidence.terminal, desk.address(account), login, SERVER)
        for login, account in enumerate(desk.accounts, start=1)
    }
    found = evidence.Evidence(terminals=terminals, **archived, **told)
    return Side(found, tuple(_judged(desk, found)))


def _judged(desk: Desk, found: evidence.Evidence) -> list[Finding]:
    broker, story = booked.booked(desk.broker.books[ACCOUNTS[0]]), booked.statements(found.stated)
    findings = [*booked.differences(found.stated, broker), *checker.check(story, found)]
    for account, terminal in found.terminals.items():
        if terminal.resting != broker.resting and not findings:
            text = f"{account}: {terminal.resting} orders rest, and {broker.resting} at the broker"
            findings.append(Finding("wrong", text))
    return findings


def _result(seed: int, desk: Desk, side: Side, planned: Sequence[Fault], hand: Hand, seconds: float) -> Result:
    return Result(
        seed=seed,
        findings=(*side.findings, *_crashes(desk)),
        faults=dict(Counter(fault.kind for fault in planned)),
        reached=dict(desk.reached),
        actions=hand.answered,
        ends=evidence.ends(side.evidence.outcomes),
        seconds=seconds,
    )


def _crashes(desk: Desk) -> list[Finding]:
    """What no service may say, however it ended."""
    said: Mapping[str, bytes] = {file.name: file.read_bytes() for file in desk.logs()}
    return [
        Finding("wrong", f"{name}: {crash.decode()}")
        for name, text in said.items()
        for crash in CRASHES
        if crash in text
    ]
