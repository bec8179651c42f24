"""The archiver's settings have safe defaults and plain errors."""

from decimal import Decimal as D
from typing import Any

import pytest

from archiver.settings import Archiver, dsn, load
from shared.settings import SettingsError


def test_nothing_has_to_be_set() -> None:
    assert load({}) == Archiver(metrics=None, batch_size=500, linger=0.02, retention=D(7))


def test_everything_can_be_set_also_from_the_environment() -> None:
    table = {"metrics": "127.0.0.1:0", "batch-size": "100", "linger": D("0.5"), "retention": "0.25"}
    assert load({"archiver": table}) == Archiver(metrics="127.0.0.1:0", batch_size=100, linger=0.5, retention=D("0.25"))


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"batch-size": 0}, "archiver.batch-size"),
        ({"linger": -1}, "archiver.linger"),
        ({"retention": -1}, "retention must be 0 or more days"),
        ({"retention": "NaN"}, "retention must be 0 or more days"),
        ({"retentoin": 1}, "retentoin"),
    ],
)
def test_a_mistake_names_its_key(table: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load({"archiver": table})


def test_without_a_database_it_says_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"postgres.dsn is not set"):
        dsn({})
    assert dsn({"postgres": {"dsn": "postgresql://x"}}) == "postgresql://x"
