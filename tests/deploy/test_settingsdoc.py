"""docs/settings.md says what the settings are now, and every key of theirs."""

import msgspec
import pytest

from deploy import settingsdoc
from deploy.settingsdoc import EXAMPLE, FILE, TABLES, explained, page, part
from executor.settings import Account, Limits
from ingest.settings import SourceTable


def test_the_page_is_what_comes_out_today() -> None:
    """`python -m deploy.settingsdoc` writes it anew."""
    assert FILE.read_text(encoding="utf-8") == page(EXAMPLE.read_text(encoding="utf-8"))


def test_every_table_that_the_settings_have_has_its_part() -> None:
    known = set(TABLES.values())
    for kind in list(known):
        for field in msgspec.structs.fields(kind):
            if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
                assert field.type in known, field.name


def test_a_comment_goes_for_the_keys_below_it_and_a_trailing_one_for_its_own() -> None:
    found = explained("[archiver]\n# Both\n# of them.\n# a = 1\nb = 2  # and that\n# Another.\nc = 3\n\nd = 4\n")
    assert found == {"archiver": {"a": "Both of them.", "b": "and that", "c": "Another.", "d": settingsdoc.ABOVE}}


def test_names_that_a_user_chooses_are_told_from_those_that_stand() -> None:
    assert list(explained("[ingest.sources.fusion]\nhost = 1\n")) == ["ingest.sources.NAME"]
    assert list(explained("# [executor.accounts.a.sizing.symbols.EURUSD]\n# lots = 1\n")) == [
        "executor.accounts.NAME.sizing.symbols.SYMBOL"
    ]


def test_a_key_that_nobody_explained_is_named() -> None:
    with pytest.raises(LookupError, match=r"tradecopier.toml does not explain x\.host"):
        part("x", SourceTable, {})


def test_defaults_are_spelled_as_in_the_file() -> None:
    fields = {field.encode_name: field for kind in (Limits, Account) for field in msgspec.structs.fields(kind)}
    assert settingsdoc.default(fields["sides"]) == '`["buy", "sell"]`'
    assert settingsdoc.default(fields["max-age"]) == "`10`"
    assert settingsdoc.default(fields["mode"]) == "–"
    assert settingsdoc.default(fields["act-on"]) == '`"accept"`'
