"""The archive gives back what was signed, byte by byte, in the order in which it was told."""

from datetime import timedelta

from msgspec import Raw

from archiver.originals import Archive, Original
from archiver.store import Store
from shared.outcomes import Kept, Memory, Notice, Pending
from tests.archiver.entries import CODEC, Message, entry, fact, later, outcome, rows
from tests.conftest import Database

FIRST, SECOND = fact(1), fact(2)


def kept(number: int, **fields: object) -> Kept:
    return Kept(account="one", seen=later(number), memory=Memory(links={"x": Raw(b"null")}), **fields)  # type: ignore[arg-type]


TOLD: tuple[Message, ...] = (
    FIRST,
    kept(0, whole=True),
    Pending(fact=FIRST.id, account="one", state="unresolved", since=later(1)),
    SECOND,
    kept(2),
    outcome(SECOND),
    kept(3, whole=True),
    outcome(FIRST),
    outcome(FIRST, account="two"),
)


async def stored(dsn: str) -> Archive:
    async with Store(dsn) as store:
        assert await store.save(rows(TOLD)) == []
    return Archive(dsn=dsn, namespace="main")


def numbers(found: list[Original]) -> list[int]:
    """Which of TOLD these are."""
    assert all(o.fields == entry(TOLD[n], n).fields for o in found if (n := int(o.entry.split("-")[1])) >= 0)
    return [int(original.entry.split("-")[1]) for original in found]


async def test_facts_and_memories_come_as_they_were_signed(archive: Database) -> None:
    found = await stored(archive.dsn)
    assert numbers(list(found.facts())) == [0, 3]
    assert numbers(list(found.fact(SECOND.id))) == [3]
    assert numbers(list(found.wholes("one"))) == [6, 1]
    assert numbers(list(found.told("one", later(-60)))) == [1, 2, 4, 5, 6, 7]
    assert list(found.told("one", later(0) + timedelta(days=1))) == []
    assert numbers(list(found.states("one"))) == [2, 7]
    assert list(found.wholes("two")) == []
    assert CODEC.outcome(next(found.wholes("one")).fields) == TOLD[6]


async def test_the_newest_removal_of_an_account_comes_first_and_each_producer_has_its_last(archive: Database) -> None:
    story = [*TOLD, kept(9, whole=True, removed=True), kept(10, whole=True), kept(11, removed=True)]
    async with Store(archive.dsn) as store:
        assert await store.save(rows(story)) == []
    found = Archive(dsn=archive.dsn, namespace="main")
    assert [int(o.entry.split("-")[1]) for o in found.removals("one")] == [11, 9]
    assert list(found.removals("two")) == []
    assert found.lasts() == {FIRST.producer: 2}


async def test_an_account_is_remembered_until_it_was_removed(archive: Database) -> None:
    found = await stored(archive.dsn)
    assert found.remembered(["one", "two", "three"]) == {"one"}
    gone = [*TOLD, kept(9, whole=True, removed=True)]
    async with Store(archive.dsn) as store:
        assert await store.save(rows(gone)) == []
    assert found.remembered(["one"]) == set()
    assert Archive(dsn=archive.dsn, namespace="other").remembered(["one"]) == set()


def notice(number: int, reason: str, account: str = "one") -> Notice:
    return Notice(account=account, reason=reason, text="", seen=later(number))


async def test_what_an_account_lacked_before_it_was_removed_is_nothing_to_its_successor(
    archive: Database,
) -> None:
    messages: list[Message] = [
        notice(0, "removed"),
        kept(1, whole=True, removed=True),
        notice(2, "removed"),
        notice(3, "removed", account="two"),
        notice(4, "readable"),
        notice(5, "restored"),
    ]
    async with Store(archive.dsn) as store:
        assert await store.save(rows(messages)) == []

    found = Archive(dsn=archive.dsn, namespace="main")
    told = [CODEC.outcome(original.fields) for original in found.lacking("one")]
    assert told == [messages[2], messages[5]]
    assert len(list(found.lacking("two"))) == 1
