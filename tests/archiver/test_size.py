"""What an operator is told of the archive's size."""

from archiver.size import lines
from archiver.store import Store
from tests.archiver.entries import fact, outcome, rows
from tests.conftest import Database


def test_an_empty_archive_says_so(archive: Database) -> None:
    assert list(lines(archive.dsn))[-1] == "PostgreSQL: no facts yet"


async def test_bytes_per_fact_and_growth_are_told(any_postgres: Database) -> None:
    from archiver.migrate import migrate

    migrate(any_postgres.dsn)
    async with Store(any_postgres.dsn) as store:
        await store.save(rows([m for n in range(1, 301) for m in (fact(n), outcome(fact(n)))]))
    told = list(lines(any_postgres.dsn))
    assert [line.split(":")[0] for line in told[:3]] == ["facts", "observations", "outcomes"]
    growth = next(line for line in told if line.startswith("PostgreSQL"))
    per_fact = int(growth.split(", ")[1].split(" ")[0].replace(",", ""))
    assert "300 facts from 2026-11-25 to 2026-11-25" in growth
    assert 1000 < per_fact < 20_000
    assert growth.endswith("a day")
