"""The structs and the tables that the migrations make are one and the same."""

import pytest

from archiver.tables import FactRow, ObservationRow, OutcomeRow, Row
from tests.archiver.entries import fact, rows, select
from tests.conftest import Database
from tests.shared.samples import OUTCOMES

MADE_BY_THE_SERVER = {"archived", "flattens", "reverses", "deals"}


@pytest.mark.parametrize("kind", [FactRow, OutcomeRow, ObservationRow])
def test_every_field_is_a_column_and_every_column_a_field(archive: Database, kind: type[Row]) -> None:
    found = select(
        archive.dsn, "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0", kind.table
    )
    assert {name for (name,) in found} - MADE_BY_THE_SERVER == set(kind.__struct_fields__)


def test_a_row_is_in_the_month_of_its_key() -> None:
    for row in rows([fact(1), *OUTCOMES]):
        assert row.month == (2026, 11)
