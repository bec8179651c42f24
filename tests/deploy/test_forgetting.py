"""Who joins anew leaves first: with nothing, and with all that was published by then behind it."""

from datetime import UTC, datetime

from redis.asyncio import Redis

from archiver.migrate import migrate
from archiver.originals import Archive
from deploy.forgetting import forget
from shared.outcomes import Kept, Memory
from tests.conftest import Database
from tests.deploy.archived import archive
from tests.executor.rig import ACCOUNT, CODEC, KEYS, NAMESPACE, Source, told

NOW = datetime(2026, 11, 26, tzinfo=UTC)


async def test_it_is_told_what_archive_and_stream_know_of_every_producer(redis: Redis, postgres: Database) -> None:
    migrate(postgres.dsn)
    known = Archive(dsn=postgres.dsn, namespace=NAMESPACE)
    old, new = Source(redis, producer="old"), Source(redis, producer="new")
    await old.open()
    await old.buy("a")
    await old.buy("b")
    await new.succeeding(old).buy("c")
    await archive(redis, postgres.dsn)
    await redis.delete(KEYS.producers)
    await new.open()
    await Source(redis, producer="newest").buy("d")

    await forget(redis, KEYS, CODEC, known, ACCOUNT, NOW)
    passed = {"old": 2, "new": 1, "newest": 1}
    assert await told(redis) == [
        Kept(account=ACCOUNT, seen=NOW, memory=Memory(passed=passed), whole=True, removed=True)
    ]
