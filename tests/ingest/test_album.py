from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec import Raw
from msgspec.structs import replace

from ingest.album import Album
from ingest.calls import Instrument
from ingest.state import Picture
from tests.ingest.samples import START

LISTED = {"EURUSD": Instrument(name="EURUSD", unit="lots", lot_size=Decimal(100000))}
PICTURE = Picture(source="demo", account="10001", model="hedging", instruments=LISTED)
OTHER = Picture(source="other", account="1")


def test_nothing_is_known_of_an_account_that_nobody_has_looked_at() -> None:
    assert Album({}).picture("demo", "10001") is None


def test_pictures_come_back_from_what_was_kept_of_them() -> None:
    album = Album({})
    album.put(PICTURE)
    album.put(OTHER)
    again = Album(album.unkept("demo") | album.unkept("other"))
    assert (again.picture("demo", "10001"), again.picture("other", "1")) == (PICTURE, OTHER)
    assert again.accounts("demo") == {"10001"}
    assert again.unkept("demo") == {}


def test_only_a_picture_that_was_never_kept_is_new() -> None:
    album = Album({})
    assert album.put(PICTURE)
    album.unkept("demo")
    assert not album.put(replace(PICTURE, answered={"orders": START}))


def test_what_changed_is_given_once_and_the_long_list_of_instruments_only_when_it_is_another() -> None:
    album = Album({})
    album.put(PICTURE)
    assert set(album.unkept("demo")) == {"demo/10001", "demo/10001#instruments"}
    assert album.unkept("demo") == {}
    polled = replace(PICTURE, answered={"orders": START + timedelta(seconds=1)})
    album.put(polled)
    assert set(album.unkept("demo")) == {"demo/10001"}
    album.put(replace(polled, instruments=LISTED | {"GBPUSD": Instrument(name="GBPUSD")}))
    assert set(album.unkept("demo")) == {"demo/10001", "demo/10001#instruments"}


def test_each_source_is_kept_on_its_own() -> None:
    album = Album({})
    album.put(PICTURE)
    album.put(OTHER)
    assert set(album.unkept("other")) == {"other/1", "other/1#instruments"}


def test_a_picture_that_cannot_be_read_is_said_and_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    album = Album({"demo/10001": Raw(b'{"source":5}')})
    assert album.picture("demo", "10001") is None
    assert "cannot be read by this version" in caplog.text
