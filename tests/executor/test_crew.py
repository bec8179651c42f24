"""Those who work under one lease: what is unfinished is looked at although no entry comes."""

from datetime import UTC, datetime
from decimal import Decimal
from time import time_ns

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.asked import Desk
from executor.book import Debt
from executor.crew import Crew
from executor.lane import never
from executor.ledger import Ledger
from executor.meter import unwatched
from executor.mt5.simulator.faults import FaultKind
from executor.orders import signed
from executor.recalling import Memory
from executor.runner import Runner
from executor.sights import Sights
from shared.lease import Lease
from shared.wire import Place
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Simulator, Source, account, ended, running

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DEBT = Debt(link="demo/1/p", fact="f", entry="1-0", target=Decimal(0), since=NOW, captured=NOW)


@pytest.mark.parametrize("debts", [{}, {DEBT.link: DEBT}], ids=["nothing owed", "an exit owed"])
async def test_a_crew_begins_with_what_was_left_unfinished(
    redis: Redis, simulator: Simulator, debts: dict[str, Debt]
) -> None:
    place = Place(entry="7-0", seqs={"p": 3})
    memory = Memory(place=place, state={}, links={}, debts=debts, suspect_before=NOW, began=NOW)
    ledger = Ledger(redis, KEYS, CODEC, ACCOUNT, Lease(redis, KEYS.account("lease", ACCOUNT), duration=5, owner="crew"))
    async with simulator.keeper() as (terminal, keeper):
        clock = lambda: NOW  # noqa: E731
        runner = Runner(account(), ledger, terminal, keeper, clock, never, unwatched(ACCOUNT, clock).done)
        desk, sights = Desk(redis, KEYS, CODEC, ACCOUNT), Sights(redis, KEYS, CODEC, ["demo"])
        meter = unwatched(ACCOUNT, clock)
        crew = Crew(ACCOUNT, account(), ledger, keeper, runner, clock, never, meter, memory, desk, sights)

    assert crew.waits is bool(debts)
    assert crew.follower.place == place


async def test_what_an_operator_asks_is_done_although_no_entry_comes(
    valkey: Valkey, redis: Redis, source: Source, simulator: Simulator
) -> None:
    async with running(valkey.url, simulator):
        await source.buy("o1", "1")
        await ended(redis, 1)
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=2)
        await redis.hset(KEYS.account("state", ACCOUNT), "flatten", signed(CODEC, ACCOUNT, "flatten", time_ns()))
        while await simulator.volumes():
            await redis.xread({KEYS.outcomes: "$"}, block=50)
