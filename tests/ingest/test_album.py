from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from ingest import records
from ingest.album import Album
from ingest.calls import Instrument
from ingest.records import Answered, Line, Snapshot
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
    again = Album(album.changes("demo") | album.changes("other"))
    assert (again.picture("demo", "10001"), again.picture("other", "1")) == (PICTURE, OTHER)
    assert again.accounts("demo") == {"10001"}
    assert again.changes("demo") == {}
    assert Album(again.whole()).picture("demo", "10001") == PICTURE


def test_only_a_picture_that_was_never_kept_is_new() -> None:
    album = Album({})
    assert album.put(PICTURE)
    album.changes("demo")
    assert not album.put(replace(PICTURE, answered={"orders": START}))


def test_what_changed_is_given_once_and_costs_no_more_than_it_is() -> None:
    album = Album({})
    album.put(PICTURE)
    assert b"EURUSD" in bytes(album.changes("demo")["demo/10001"])
    assert album.changes("demo") == {}
    album.put(replace(PICTURE, answered={"orders": START}))
    assert msgspec.json.decode(album.changes("demo")["demo/10001"]) == {
        "answered": {"orders": START.isoformat().replace("+00:00", "Z")}
    }


def test_each_source_is_kept_on_its_own() -> None:
    album = Album({})
    album.put(PICTURE)
    album.put(OTHER)
    assert set(album.changes("other")) == {"other/1"}


WORDS = st.sampled_from(["a", "b", "c"])
PICTURES = st.builds(
    Picture,
    source=st.just("demo"),
    account=st.just("1"),
    model=st.sampled_from(["hedging", "netting", None]),
    links=st.dictionaries(WORDS, WORDS),
    uses=st.dictionaries(WORDS, st.integers(1, 3)),
    instruments=st.dictionaries(WORDS, st.builds(Instrument, name=WORDS, unit=st.sampled_from(["lots", None]))),
    listed=st.frozensets(WORDS),
    flows=st.dictionaries(WORDS, st.just(True)),
)


@given(pictures=st.lists(PICTURES, min_size=1, max_size=6))
def test_whatever_changes_the_patches_lead_to_the_newest_picture(pictures: list[Picture]) -> None:
    album, state = Album({}), Snapshot(lines={"demo": Line(producer="demo-1")})
    for picture in pictures:
        album.put(picture)
        answered = Answered(source="demo", pictures=album.changes("demo"))
        state = records.follow(state, records.decode(records.encode(answered)))
    kept = {name: Raw(msgspec.json.encode(value)) for name, value in state.pictures.items()}
    assert Album(kept).picture("demo", "1") == pictures[-1]


def test_a_picture_that_cannot_be_read_is_said_and_begun_anew(caplog: pytest.LogCaptureFixture) -> None:
    album = Album({"demo/10001": Raw(b'{"source":5}')})
    assert album.picture("demo", "10001") is None
    assert "cannot be read, what happened meanwhile is not seen" in caplog.text
