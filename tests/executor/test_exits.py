"""Whatever was denied, refused or is not known, and in whatever state the account is: no exit is held back by it."""

from decimal import Decimal
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from deploy.embedded import Valkey
from executor.book import Margin
from executor.mt5.simulator.faults import FaultKind
from executor.reasons import Denied, Obstacle, Reason
from executor.results import Rejected, Result, Skipped, StepResult
from executor.settle import settle
from executor.steps import Opening
from executor.translate import Ignore, translate
from shared.facts import Fact, Model
from tests.executor.accounts import PerfectAccount
from tests.executor.rig import ACCOUNT, KEYS, Simulator, account, ended, running
from tests.executor.rig import Source as LiveSource
from tests.executor.sources import key
from tests.executor.test_follow import COMBINATIONS, actions, story

D = Decimal
GRACE_S = 20.0
refusals = st.one_of(
    st.sampled_from(list(Reason)).map(Denied),
    st.sampled_from(list(Obstacle)).map(lambda reason: Rejected(10013, reason)),
    st.booleans().map(lambda shadow: Skipped(shadow=shadow)),
)


def follow(perfect: PerfectAccount, fact: Fact, refusal: Result | None) -> None:
    """Follow a fact; its openings end as `refusal` says."""
    plan = translate(fact, perfect.book, perfect.account)
    if isinstance(plan, Ignore):
        perfect.remember(fact, plan.link)
        return
    refused = [s for s in plan.steps if isinstance(s, Opening) and s.name != "cross"] if refusal else []
    results = [StepResult(s, refusal if refusal and s in refused else perfect.take(s)) for s in plan.steps]
    perfect.remember(fact, settle(fact, plan, results).link)


@pytest.mark.parametrize(("model", "margin"), COMBINATIONS)
@given(data=st.data(), deeds=actions)
@settings(max_examples=120)
def test_after_any_denials_what_the_source_closes_is_closed(
    model: Model, margin: Margin, data: st.DataObject, deeds: list[tuple[str, int, Decimal]]
) -> None:
    perfect = PerfectAccount(margin)
    for fact in story(model, deeds):
        before = perfect.own(key(fact.exposure.position))
        follow(perfect, fact, data.draw(st.none() | refusals))
        own, total = perfect.own(key(fact.exposure.position)), fact.exposure.after.total
        assert own == 0 if total == 0 else own * total >= 0
        assert abs(own) <= abs(total) or abs(own) <= abs(before)


@pytest.mark.parametrize("state", ["active", "close-only"])
async def test_an_exit_passes_everything_that_holds_openings_back(
    state: str, valkey: Valkey, redis: Redis, source: LiveSource, simulator: Simulator
) -> None:
    """One opening unknown, one waiting behind it, one denied, an exit owed: the next exit is done at once."""
    async with running(valkey.url, simulator, account(grace=GRACE_S)):
        for position in ("o1", "o2"):
            await source.buy(position)
        await source.buy("o3", "0.001")
        await ended(redis, 3)
        simulator.goes_wrong(FaultKind.NONE, code=-1)
        await source.buy("o4")
        await source.buy("o5")
        simulator.goes_wrong(FaultKind.RETCODE, code=10018, times=1)
        await source.close("o1")
        await redis.hset(KEYS.account("state", ACCOUNT), "mode", state)
        began = monotonic()
        await source.close("o2")
        found = await ended(redis, 5)
        assert monotonic() - began < GRACE_S / 2

    denied, *closed = found[2:]
    assert (denied.result, denied.reason) == ("denied", "size-below-minimum")
    assert sorted((o.fact[-4:], o.result) for o in closed) == [("o1/2", "closed"), ("o2/2", "closed")]
    assert await simulator.volumes() == []
