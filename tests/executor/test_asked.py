"""A request is kept once, only while somebody works for the account, and only for an attempt that may be made."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from executor.asked import Answer, Desk, Mend, Replay, Request, Resolve
from shared.wire import Codec, Keyring
from tests.executor.rig import ACCOUNT, CODEC, KEYS, NAMESPACE
from tests.shared.samples import placed

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
AGAIN = Replay(fact="f", entry="1-1", attempt=2, asked=NOW, m="{}", k="k1", s="0")
DONE, LEASE = KEYS.account("done", ACCOUNT), KEYS.account("lease", ACCOUNT)


@pytest.fixture
async def desk(redis: Redis) -> Desk:
    """The desk of an account for which somebody works."""
    await redis.set(LEASE, "executor-main:1")
    return Desk(redis, KEYS, CODEC, ACCOUNT)


CASES: list[tuple[str, int, dict[str, str], bool, Answer]] = [
    ("denied before", 2, {"f#1": "denied 1 1-1"}, False, "asked"),
    ("rejected before", 2, {"f#1": "rejected 1 1-1"}, False, "asked"),
    ("dead before", 2, {"f#1": "dead 1 1-1"}, False, "asked"),
    ("filled before", 2, {"f#1": "filled 1 1-1"}, False, "effect"),
    ("ignored before", 2, {"f#1": "ignored 1 1-1"}, False, "effect"),
    ("closed before", 2, {"f#1": "closed 1 1-1"}, False, "effect"),
    ("this attempt has ended", 2, {"f#1": "denied 1 1-1", "f#2": "denied 1 1-1"}, False, "ended"),
    ("nobody knows how it ended before", 2, {}, False, "effect"),
    ("the archive knows how it ended before", 2, {}, True, "asked"),
    ("the archive is older than what Redis knows", 2, {"f#1": "filled 1 1-1"}, True, "effect"),
    ("never answered", 1, {}, False, "asked"),
    ("answered", 1, {"f#1": "denied 1 1-1"}, False, "ended"),
    ("a gap in the attempts", 3, {"f#1": "denied 1 1-1"}, False, "effect"),
]


@pytest.mark.parametrize(("attempt", "done", "archived", "answer"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
async def test_an_attempt_is_kept_only_when_the_last_one_ended_without_effect(
    redis: Redis, desk: Desk, attempt: int, done: dict[str, str], archived: bool, answer: Answer
) -> None:
    for field, value in done.items():
        await redis.hset(DONE, field, value)
    assert await desk.ask(replace(AGAIN, attempt=attempt), archived=archived) == answer
    assert bool(await desk.requests()) == (answer == "asked")


@pytest.mark.parametrize("end", ["ignored", "closed"])
async def test_what_opened_nothing_here_may_be_adopted_by_the_lane_alone(redis: Redis, desk: Desk, end: str) -> None:
    await redis.hset(DONE, "f#1", f"{end} 1 1-1")
    assert await desk.ask(AGAIN) == "effect"
    assert await desk.ask(replace(AGAIN, adopt=True)) == "asked"


async def test_there_is_one_request_for_the_same_at_a_time_and_none_without_a_lane(redis: Redis, desk: Desk) -> None:
    end = Resolve(target="fact", name="f", result="dead", asked=NOW)
    assert [await desk.ask(end), await desk.ask(end)] == ["asked", "there"]
    assert await desk.ask(replace(AGAIN, attempt=1)) == "asked", "a fact can be ended while it is tried again"
    await redis.delete(LEASE)
    assert await desk.ask(Mend(names=("x",), asked=NOW)) == "idle"


async def test_requests_are_read_as_they_were_asked_oldest_first(desk: Desk) -> None:
    asked: list[Request] = [
        Resolve(target="link", name="s/1/o1", result="closed", asked=NOW + timedelta(seconds=1), note="é"),
        replace(AGAIN, attempt=1, planned=placed()),
        Mend(names=("a", "b"), asked=NOW + timedelta(seconds=2)),
    ]
    for request in asked:
        await desk.ask(request)
    assert list((await desk.requests()).values()) == [asked[1], asked[0], asked[2]]


FORGERIES: list[tuple[str, Any]] = [
    ("another key", lambda: Codec(NAMESPACE, Keyring(current="k1", keys={"k1": b"2" * 32})).seal),
    ("another namespace", lambda: Codec("other", Keyring(current="k1", keys={"k1": b"1" * 32})).seal),
]


@pytest.mark.parametrize("seal", [row[1] for row in FORGERIES], ids=[row[0] for row in FORGERIES])
async def test_what_is_not_soundly_signed_is_no_request(redis: Redis, desk: Desk, seal: Any) -> None:
    await redis.hset(KEYS.account("replay", ACCOUNT), "fact:f", seal()(f"replay:{ACCOUNT}", b"{}"))
    assert await desk.requests() == {"fact:f": None}


async def test_a_request_to_another_account_is_none_to_this_one(redis: Redis, desk: Desk) -> None:
    await redis.set(KEYS.account("lease", "other"), "x")
    await Desk(redis, KEYS, CODEC, "other").ask(replace(AGAIN, attempt=1))
    raw: Any = await redis.hgetall(KEYS.account("replay", "other"))
    await redis.hset(KEYS.account("replay", ACCOUNT), mapping=raw)
    assert await desk.requests() == {"fact:f": None}


async def test_what_was_noted_and_is_lost_comes_back_unless_its_attempt_has_ended(redis: Redis, desk: Desk) -> None:
    noted = replace(AGAIN, attempt=1, planned=placed())
    assert await desk.lost() is None
    change = desk.noting(noted)
    assert change.requests == [noted.field]
    lost = await desk.lost()
    assert lost is not None
    assert lost.noted == change.noted
    await redis.hset(KEYS.account("replay", ACCOUNT), noted.field, lost.noted[noted.field])
    assert await desk.requests() == {noted.field: noted}
    assert await desk.lost() is None
    await redis.delete(KEYS.account("replay", ACCOUNT))
    await redis.hset(DONE, noted.work.key, "filled 1 1-1")
    assert await desk.lost() is None


async def test_what_another_lane_has_noted_since_stays_and_what_is_older_is_replaced(redis: Redis, desk: Desk) -> None:
    asked, requests = replace(AGAIN, attempt=1), KEYS.account("replay", ACCOUNT)
    older, newer = (replace(asked, planned=placed(captured=NOW + timedelta(seconds=s))) for s in (1, 2))
    desk.noting(older)
    for there, lost in (
        (newer, False),
        (older, False),
        (asked, True),
        (replace(older, planned=placed(captured=NOW)), True),
    ):
        await redis.hset(requests, asked.field, desk._sealed(there))
        assert (await desk.lost() is not None) == lost, there


def test_what_was_noted_is_remembered_for_a_while_only(desk: Desk) -> None:
    for number in range(1200):
        desk.noting(replace(AGAIN, fact=f"f{number}"))
    assert list(desk.noted) == [f"fact:f{number}" for number in range(200, 1200)]


async def test_a_request_can_be_taken_back_until_it_is_answered(desk: Desk) -> None:
    asked = replace(AGAIN, attempt=1)
    await desk.ask(asked)
    assert await desk.withdraw(asked)
    assert not await desk.withdraw(asked)


async def test_only_what_was_delivered_and_has_no_end_is_pending(redis: Redis, desk: Desk) -> None:
    entry: Any = await redis.xadd(KEYS.orders, {"m": b"{}", "k": b"k9", "s": b"0"})
    assert await desk.pending(entry.decode()) is None
    await redis.xreadgroup(ACCOUNT, "executor", {KEYS.orders: ">"})
    found = await desk.pending(entry.decode())
    assert found is not None
    assert found.fields[b"k"] == b"k9"
    await redis.xack(KEYS.orders, ACCOUNT, entry)
    assert await desk.pending(entry.decode()) is None
