"""What comes of a request is shown as the outcomes stream tells it, and of nothing else."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from redis.asyncio import Redis

from deploy.embedded import Valkey
from deploy.handing import answers, asking, newest
from executor.asked import Replay, Resolve
from executor.replay import Candidate, Original
from shared import outcomes, streams
from shared.outcomes import Notice, Outcome, Pending
from tests.executor.rig import CODEC, KEYS
from tests.shared.samples import placed

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
AGAIN = Replay(fact="f", entry="1-1", attempt=2, asked=NOW, m="{}", k="k1", s="0")
END = Resolve(target="link", name="s/1/o1", result="closed", asked=NOW)


@pytest.fixture
async def redis(valkey: Valkey) -> AsyncIterator[Redis]:
    client = streams.connect(valkey.url)
    yield client
    await client.aclose()


def ended(**changes: object) -> Outcome:
    known: dict[str, object] = {"fact": "f", "account": "main", "result": "filled", "attempt": 2}
    return Outcome(**{**known, "captured": NOW, "read": NOW, "committed": NOW, **changes})  # type: ignore[arg-type]


async def tell(redis: Redis, *messages: outcomes.Message) -> None:
    for message in messages:
        entry = CODEC.entry("outcomes", message)
        await redis.xadd(KEYS.outcomes, {k.decode(): v for k, v in entry.items()})


async def shown(redis: Redis, *messages: outcomes.Message, patience_s: float = 0.0) -> tuple[list[str], int]:
    """What is shown of messages that come after the requests were made, and how many stay without an answer."""
    said: list[str] = []
    await tell(redis, ended())
    after = await newest(redis, KEYS)
    telling = asyncio.create_task(tell(redis, *messages))
    left = await answers(redis, KEYS, CODEC, "main", [AGAIN, END], after, said.append, patience_s or 1.0)
    await telling
    return said, left


async def test_a_state_is_shown_once_and_the_end_ends_the_waiting(redis: Redis) -> None:
    state = Pending(fact="f", account="main", state="unresolved", since=NOW, attempt=2, text="nobody knows")
    notice = Notice(account="main", reason="operator", text="what s/1/o1 owed is ended by hand", seen=NOW)
    said, left = await shown(redis, state, state, notice, ended(text="done"), patience_s=20.0)
    assert said == ["f: unresolved (nobody knows)", notice.text, "f: filled (done)"]
    assert left == 0


async def test_what_is_about_others_is_not_shown_and_what_has_no_answer_is_counted(redis: Redis) -> None:
    others: list[outcomes.Message] = [
        ended(account="second"),
        ended(attempt=1),
        ended(fact="g"),
        Notice(account="main", reason="operator", text="the operator has set the account to active", seen=NOW),
    ]
    assert await shown(redis, *others) == ([], 2)


async def test_a_refusal_names_the_request_and_is_its_answer(redis: Redis) -> None:
    refusals = [
        Notice(account="main", reason="operator", text=f"asked by the operator and not done: {field}: why", seen=NOW)
        for field in (AGAIN.field, END.field)
    ]
    said, left = await shown(redis, *refusals, patience_s=20.0)
    assert (len(said), left) == (2, 0)


async def test_the_end_of_a_fact_by_hand_answers_it_by_its_id_and_by_its_entry(redis: Redis) -> None:
    said: list[str] = []
    requests = [
        Resolve(target="fact", name="f", result="denied", asked=NOW),
        Resolve(target="entry", name="7-1", result="dead", asked=NOW),
    ]
    await tell(redis, ended(), ended(reason="by-hand", result="denied", text="ended by hand", entry="7-1"))
    assert await answers(redis, KEYS, CODEC, "main", requests, "0-0", said.append, 20.0) == 0
    assert said == ["f: denied (ended by hand)"]


def test_the_request_is_the_signed_original_with_the_next_attempt_number() -> None:
    fields = CODEC.entry("orders", placed())
    found = Candidate(original=Original(fact=placed(), entry="5-1", fields=fields), attempt=3)
    request = asking(found, NOW)
    assert (request.fact, request.entry, request.attempt, request.asked) == (placed().id, "5-1", 3, NOW)
    assert request.fields == fields
    assert CODEC.fact(request.fields) == placed()
