"""The scripts write all or nothing, and only for who holds the account as the server knows it."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from time import time_ns
from typing import Any

import pytest
from redis.asyncio import Redis

from deploy import membership
from deploy.embedded import Valkey
from executor.book import Debt, Link
from executor.change import Change, End, Work, dead_letter
from executor.ledger import Fenced, LeaseLost, Ledger, Passed
from executor.orders import signed
from executor.states import AccountState
from shared import outcomes, streams, wire
from shared.lease import Lease
from shared.streams import Entry, Reader
from tests.executor.rig import ACCOUNT, CODEC, KEYS, Source, told

ALL = list(AccountState)
NOW = datetime(2026, 11, 25, 13, 0, tzinfo=UTC)
LINK = Link(key="demo/10001/o1", instrument="EURUSD", symbol="EURUSD", revision=1, followed=Decimal("0.1"))
DEBT = Debt(link=LINK.key, fact="f", entry="1-1", target=Decimal(0), since=NOW, captured=NOW)


def lane(redis: Redis) -> tuple[Ledger, Lease]:
    lease = Lease(redis, KEYS.account("lease", ACCOUNT), duration=30, owner="lane")
    return Ledger(redis, KEYS, CODEC, ACCOUNT, lease), lease


@pytest.fixture
async def ledger(redis: Redis) -> Ledger:
    ledger, lease = lane(redis)
    await lease.acquire()
    await ledger.begin()
    await ledger.note(mode="active")
    return ledger


@pytest.fixture
async def entry(redis: Redis, ledger: Ledger) -> Entry:
    """One delivered entry."""
    source = Source(redis)
    await source.open()
    await source.buy("o1")
    (entry,) = await Reader(redis, KEYS.orders, ACCOUNT, "executor").read()
    return entry


def outcome(fact: str = "f") -> outcomes.Outcome:
    return outcomes.Outcome(fact=fact, account=ACCOUNT, result="filled", captured=NOW, read=NOW, committed=NOW)


def ending(entry: Entry, **changes: Any) -> Change:
    end = End(result="filled", work=Work(fact="f"), entry=entry.id)
    place = wire.Place(entry=entry.id, seqs={"rig": 1})
    fields: dict[str, Any] = {"entry": entry.id, "ends": [end], "messages": [outcome()], "passed": place}
    return Change(**{**fields, **changes})


async def state_of(redis: Redis) -> dict[str, Any]:
    """Everything that a commit may change."""
    parts = ("place", "done", "links", "debts")
    hashes: Any = {part: await redis.hgetall(KEYS.account(part, ACCOUNT)) for part in parts}
    pending = await redis.xpending(KEYS.orders, ACCOUNT)
    return {**hashes, "pending": pending["pending"], "told": await redis.xlen(KEYS.outcomes)}


async def test_a_commit_writes_outcome_link_debt_place_and_acknowledgement_at_once(
    redis: Redis, ledger: Ledger, entry: Entry
) -> None:
    change = ending(entry, links={LINK.key: LINK}, debts={LINK.key: DEBT})

    await ledger.commit(change, NOW)

    memory = await ledger.begin()
    assert (memory.links, memory.debts) == ({LINK.key: LINK}, {LINK.key: DEBT})
    assert memory.place == wire.Place(entry=entry.id, seqs={"rig": 1})
    assert await ledger.outcome(Work(fact="f")) == "filled"
    after = await state_of(redis)
    assert (after["pending"], after["told"]) == (0, 1)


@pytest.mark.parametrize("pending", [False, True])
async def test_the_same_commit_again_writes_nothing(
    redis: Redis, ledger: Ledger, entry: Entry, *, pending: bool
) -> None:
    """Also where the entry has come back: who begins anew finds the end and passes the entry by itself."""
    await ledger.commit(ending(entry), NOW)
    if pending:
        await redis.xclaim(KEYS.orders, ACCOUNT, "executor", 0, [entry.id], force=True)
    before = await state_of(redis)

    with pytest.raises(LeaseLost):
        await ledger.commit(ending(entry, links={LINK.key: LINK}), NOW)

    assert await state_of(redis) == before
    assert before["pending"] == int(pending)


async def test_removing_a_link_and_a_debt_forgets_them(ledger: Ledger, entry: Entry) -> None:
    await ledger.commit(Change(links={LINK.key: LINK}, debts={LINK.key: DEBT}), NOW)
    await ledger.commit(ending(entry, links={LINK.key: None}, debts={LINK.key: None}), NOW)

    memory = await ledger.begin()
    assert (memory.links, memory.debts) == ({}, {})


async def test_what_is_told_of_a_disagreement_is_kept_with_the_message_until_it_is_over(
    redis: Redis, ledger: Ledger
) -> None:
    drift = outcomes.Drift(account="a", position="p", symbol="EURUSD", expected=Decimal(1), actual=Decimal(0), seen=NOW)
    before = await redis.xlen(KEYS.outcomes)
    await ledger.commit(Change(messages=[drift], drifts={"stray:1": b"{}"}), NOW)
    assert (await ledger.begin()).drifts == {"stray:1": b"{}"}
    await ledger.commit(Change(messages=[drift], drifts={"stray:1": None}), NOW)

    assert (await ledger.begin()).drifts == {}
    assert await redis.xlen(KEYS.outcomes) == before + 2


async def test_parking_moves_the_place_and_leaves_the_entry_pending(redis: Redis, ledger: Ledger, entry: Entry) -> None:
    pending = outcomes.Pending(fact="f", account=ACCOUNT, state="unresolved", since=NOW)
    place = wire.Place(entry=entry.id, seqs={"rig": 1})

    await ledger.commit(Change(entry=entry.id, messages=[pending], passed=place), NOW)

    after = await state_of(redis)
    assert (after["pending"], after["told"], after["done"]) == (1, 1, {})
    assert (await ledger.begin()).place.entry == entry.id


async def test_the_whole_names_the_facts_that_wait_for_their_end_by_its_memory(redis: Redis, entry: Entry) -> None:
    """It has passed them; what the archive was told of them before may be from a server that was lost."""
    before, lease = lane(redis)
    await redis.delete(KEYS.account("lease", ACCOUNT))
    await lease.acquire()
    await before.tell(await before.begin(), NOW)
    await before.commit(ending(entry, ends=[], messages=[]), NOW)
    ledger, lease = lane(redis)
    await redis.delete(KEYS.account("lease", ACCOUNT))
    await lease.acquire()
    await ledger.tell(await ledger.begin(), NOW)
    wholes = [message for message in await told(redis) if isinstance(message, outcomes.Kept)]
    assert [each.lacking for each in wholes] == [(), (outcomes.Lacking("rig", 1, 1),)]
    assert wholes[1].memory.passed == {"rig": 1}


async def test_the_place_only_moves_up(ledger: Ledger, entry: Entry) -> None:
    await ledger.commit(ending(entry), NOW)
    await ledger.commit(Change(passed=wire.Place(entry="1-1", seqs={"rig": 0})), NOW)

    assert (await ledger.begin()).place == wire.Place(entry=entry.id, seqs={"rig": 1})


async def test_the_fence_is_open_for_the_holder_in_a_state_that_allows_the_step(ledger: Ledger) -> None:
    passed = await ledger.fence(Work(fact="f"), ALL)

    assert isinstance(passed, Passed)
    assert 0 < passed.lease_left <= 30


async def test_the_fence_is_closed_in_a_state_that_does_not_allow_the_step(ledger: Ledger) -> None:
    await ledger.note(mode="close-only")

    assert await ledger.fence(Work(fact="f"), [AccountState.ACTIVE]) == Fenced("state", "close-only")


async def test_what_the_lane_has_stopped_opens_nothing_whatever_the_mode_says(redis: Redis, ledger: Ledger) -> None:
    await ledger.stop("removed")
    await redis.hset(KEYS.account("state", ACCOUNT), "mode", "active")

    assert await ledger.fence(Work(fact="f"), [AccountState.ACTIVE]) == Fenced("state", "close-only")
    assert isinstance(await ledger.fence(Work(fact="f"), ALL), Passed)
    await ledger.begin()
    assert await ledger.fence(Work(fact="f"), [AccountState.ACTIVE]) == Fenced("state", "close-only")
    assert await ledger.stopped() == "removed"


async def test_only_a_resume_that_was_signed_later_lets_openings_go_on(redis: Redis, ledger: Ledger) -> None:
    name, opening = KEYS.account("state", ACCOUNT), [AccountState.ACTIVE]
    earlier = signed(CODEC, ACCOUNT, "rearm", time_ns() // 1000)
    await ledger.stop("daily-loss")
    for order in (earlier, "now", signed(CODEC, "second", "rearm", time_ns())):
        await redis.hset(name, mapping={"mode": "active", "rearm": order})
        assert await ledger.fence(Work(fact="f"), opening) == Fenced("state", "close-only")

    await redis.hset(name, "rearm", signed(CODEC, ACCOUNT, "rearm", time_ns() // 1000))

    assert isinstance(await ledger.fence(Work(fact="f"), opening), Passed)
    await redis.hset(name, "rearm", earlier)
    assert isinstance(await ledger.fence(Work(fact="f"), opening), Passed)
    assert (await ledger.begin()).state["stopped"] == ""


async def test_a_stop_is_later_than_a_resume_before_it_whatever_the_clock_of_the_server_was(
    redis: Redis, ledger: Ledger
) -> None:
    ahead = signed(CODEC, ACCOUNT, "rearm", (time_ns() + 60_000_000_000) // 1000)
    await redis.hset(KEYS.account("state", ACCOUNT), mapping={"mode": "active", "rearm": ahead})
    await ledger.stop("daily-loss")

    assert await ledger.stopped() == "daily-loss"
    assert await ledger.fence(Work(fact="f"), [AccountState.ACTIVE]) == Fenced("state", "close-only")


async def test_the_fence_is_closed_once_the_attempt_has_ended(ledger: Ledger, entry: Entry) -> None:
    await ledger.commit(ending(entry), NOW)

    assert await ledger.fence(Work(fact="f"), ALL) == Fenced("done")
    assert isinstance(await ledger.fence(Work(fact="f", attempt=2), ALL), Passed)


async def test_who_lost_the_lease_passes_no_fence_and_commits_nothing(
    redis: Redis, ledger: Ledger, entry: Entry
) -> None:
    await redis.set(KEYS.account("lease", ACCOUNT), "another")
    before = await state_of(redis)

    with pytest.raises(LeaseLost):
        await ledger.fence(Work(fact="f"), ALL)
    with pytest.raises(LeaseLost):
        await ledger.commit(ending(entry), NOW)
    with pytest.raises(LeaseLost):
        await ledger.note(mode="halted")
    assert await state_of(redis) == before


async def test_who_was_away_while_another_wrote_passes_no_fence_and_commits_nothing(
    redis: Redis, ledger: Ledger, entry: Entry
) -> None:
    """The lease came back, but what was decided before is about an account that has changed since."""
    token = await redis.get(KEYS.account("lease", ACCOUNT))
    await redis.delete(KEYS.account("lease", ACCOUNT))
    other, lease = lane(redis)
    await lease.acquire()
    await other.begin()
    await other.commit(Change(links={LINK.key: LINK}), NOW)
    assert isinstance(token, bytes)
    await redis.set(KEYS.account("lease", ACCOUNT), token)
    before = await state_of(redis)

    with pytest.raises(LeaseLost):
        await ledger.fence(Work(fact="f"), ALL)
    with pytest.raises(LeaseLost):
        await ledger.commit(ending(entry), NOW)
    assert await state_of(redis) == before


async def test_an_entry_whose_delivery_was_lost_is_not_committed(redis: Redis, ledger: Ledger, entry: Entry) -> None:
    await redis.xack(KEYS.orders, ACCOUNT, entry.id)
    before = await state_of(redis)

    with pytest.raises(LeaseLost):
        await ledger.commit(ending(entry), NOW)
    assert await state_of(redis) == before


async def test_another_server_makes_what_was_captured_before_suspect(redis: Redis, ledger: Ledger) -> None:
    assert (await ledger.begin()).suspect_before.year == 1970
    await redis.hset(KEYS.account("state", ACCOUNT), "server", "0" * 40)
    fresh, lease = lane(redis)
    await redis.delete(KEYS.account("lease", ACCOUNT))
    await lease.acquire()

    memory = await fresh.begin()

    assert abs((memory.suspect_before - datetime.now(UTC)).total_seconds()) < 60


async def test_another_server_that_has_all_that_the_holder_wrote_makes_nothing_suspect(
    redis: Redis, ledger: Ledger
) -> None:
    await redis.hset(KEYS.account("state", ACCOUNT), "server", "0" * 40)

    assert (await ledger.begin()).suspect_before.year == 1970


async def test_another_server_with_the_same_version_is_suspect_to_who_did_not_hold_the_lease(
    redis: Redis, ledger: Ledger
) -> None:
    """A delivery is not counted by the version, and only its own memory tells a lane what it called."""
    await redis.hset(KEYS.account("state", ACCOUNT), "server", "0" * 40)
    await redis.delete(KEYS.account("lease", ACCOUNT))
    lease = Lease(redis, KEYS.account("lease", ACCOUNT), duration=30, owner="lane")
    await lease.acquire()
    ledger._lease = lease

    assert (await ledger.begin()).suspect_before.year > 1970


@pytest.mark.parametrize("is_successor", [False, True])
async def test_a_server_that_succeeded_another_and_does_not_know_us_may_have_lost_even_our_begin(
    tmp_path: Path, *, is_successor: bool
) -> None:
    server = Valkey(tmp_path)
    server.start()
    redis = streams.connect(server.url)
    try:
        if is_successor:
            await redis.replicaof("127.0.0.1", "1")
            await redis.replicaof("NO", "ONE")
        await membership.join(redis, KEYS, CODEC, ACCOUNT)
        await redis.hdel(KEYS.account("state", ACCOUNT), "server")  # older versions did not put it down
        ledger, lease = lane(redis)
        await lease.acquire()

        memory = await ledger.begin()
    finally:
        await redis.aclose()
        server.stop()

    assert (memory.suspect_before.year > 1970) is is_successor


async def test_a_server_other_than_the_one_on_which_the_account_joined_may_have_lost_even_our_begin(
    tmp_path: Path,
) -> None:
    """As one that has an old copy does, made between the two: started again, a server has another identity."""
    server, suspect = Valkey(tmp_path), []
    for is_first in (True, False):
        server.start()
        redis = streams.connect(server.url)
        try:
            await membership.join(redis, KEYS, CODEC, ACCOUNT)
            if not is_first:
                ledger, lease = lane(redis)
                await lease.acquire()
                suspect.append((await ledger.begin()).suspect_before.year)
        finally:
            await redis.aclose()
            server.stop()

    assert suspect[0] > 1970


async def test_renewing_the_lease_tells_that_the_server_forgot_what_we_wrote(
    redis: Redis, ledger: Ledger, entry: Entry
) -> None:
    await ledger.renew()
    before: Any = await redis.hgetall(KEYS.account("place", ACCOUNT))
    await ledger.commit(ending(entry), NOW)
    await ledger.renew()
    await redis.delete(KEYS.account("place", ACCOUNT))
    await redis.hset(KEYS.account("place", ACCOUNT), mapping=before)

    with pytest.raises(LeaseLost):
        await ledger.renew()


async def test_a_dead_letter_keeps_bytes_that_are_no_text(redis: Redis, ledger: Ledger, entry: Entry) -> None:
    garbage = Entry(entry.id, {b"m": b"\xff\x00", b"x": b"y"})
    change = Change(
        entry=entry.id, ends=[End(entry=entry.id)], dead=dead_letter(garbage, ACCOUNT, "malformed", "no text")
    )

    await ledger.commit(change, NOW)

    dead: Any = await redis.xrange(KEYS.dead)
    ((_, fields),) = dead
    assert (fields[b"m"], fields[b"reader"], fields[b"reason"]) == (b"\xff\x00", b"main", b"malformed")
    assert (await state_of(redis))["pending"] == 0


async def test_a_state_that_came_by_itself_goes_by_itself_and_no_other(redis: Redis, ledger: Ledger) -> None:
    for before in ("active", "shadow"):
        await ledger.note(mode=before, reason="")
        await ledger.tighten(AccountState.CLOSE_ONLY, "unknown-key")
        assert await ledger.loosen()
        assert await ledger.state("mode", "reason") == [before, ""]
        assert not await ledger.loosen()


STAYING: list[tuple[tuple[AccountState, str], ...]] = [
    ((AccountState.CLOSE_ONLY, "daily-loss"),),
    ((AccountState.CLOSE_ONLY, "unknown-key"), (AccountState.CLOSE_ONLY, "daily-loss")),
    ((AccountState.CLOSE_ONLY, "daily-loss"), (AccountState.CLOSE_ONLY, "unknown-key")),
    ((AccountState.CLOSE_ONLY, "unknown-kind"), (AccountState.HALTED, "operator")),
    ((AccountState.CLOSE_ONLY, "operator"), (AccountState.CLOSE_ONLY, "unknown-key"), (AccountState.ACTIVE, "")),
]


@pytest.mark.parametrize("said", STAYING, ids=lambda said: " then ".join(reason for _, reason in said))
async def test_a_state_for_a_reason_that_stays_is_not_undone(
    redis: Redis, ledger: Ledger, said: tuple[tuple[AccountState, str], ...]
) -> None:
    for mode, reason in said:
        await ledger.tighten(mode, reason)

    assert not await ledger.loosen()

    now, why = await ledger.state("mode", "reason")
    assert (now, why) in [(str(mode), reason) for mode, reason in said]
    assert why not in ("unknown-key", "unknown-kind", "")


async def test_who_lost_the_lease_loosens_nothing(redis: Redis, ledger: Ledger) -> None:
    await ledger.tighten(AccountState.CLOSE_ONLY, "unknown-key")
    await redis.set(KEYS.account("lease", ACCOUNT), "another")

    with pytest.raises(LeaseLost):
        await ledger.loosen()

    assert await ledger.state("mode") == ["close-only"]
