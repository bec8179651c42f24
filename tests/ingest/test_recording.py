import json
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from ingest.exchange import Exchange, Frame
from ingest.explain import explain
from ingest.recording import Recorder, Wish, as_far_as_readable, ask, is_recording, recorded, wish_file
from shared.process import UserError
from tests.ingest.samples import BROKER, START, market_buy, request

LATER = START + timedelta(minutes=10)


def answered(asked: Exchange, said: object) -> Exchange:
    return replace(asked, status=200, answer=json.dumps(said).encode(), answered=asked.asked + timedelta(seconds=0.1))


BUY = answered(market_buy(), {"s": "ok", "d": {"orderId": "77"}})
NOVELTY = answered(request("GET", "/novelty"), {"x": "eyJhbGciOiJIUzI1NiJ9eyJzdWIi"})
FRAME = Frame(flow="w/1", host="broker.example", port=443, path="/pipe", at=START, text=b'{"a":1}')


def wish(tmp_path: Path, *, everything: bool = True) -> Path:
    return ask(tmp_path, Wish(file=str(tmp_path / "out.jsonl"), until=LATER, everything=everything))


def test_what_was_recorded_is_explained_as_it_would_have_been_live(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    wish(tmp_path)
    recorder.look(START)
    recorder.heard(BUY, is_known=True)
    recorder.heard(NOVELTY, is_known=False)
    recorder.heard(FRAME, is_known=False)
    recorder.close()
    path = tmp_path / "out.jsonl"
    assert is_recording(path)
    lines = list(explain(recorded(path), [BROKER]))
    assert "    order.placed EURUSD order 77: buy 0.1, position o77 0 -> 0.1" in "\n".join(lines)
    assert "    unknown: GET /novelty" in lines
    assert FRAME in [heard for _, heard in recorded(path)]
    assert "eyJhbGciOiJ" in repr(NOVELTY)
    assert "eyJhbGciOiJ" not in repr(list(recorded(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_without_a_wish_nothing_is_recorded(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.look(START)
    assert recorder.wants_everything is None
    recorder.heard(NOVELTY, is_known=False)
    assert list(tmp_path.iterdir()) == []


def test_only_what_nobody_knows_is_recorded_unless_more_is_asked_for(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    wish(tmp_path, everything=False)
    recorder.look(START)
    recorder.heard(BUY, is_known=True)
    recorder.heard(NOVELTY, is_known=False)
    recorder.close()
    assert {heard.path for _, heard in recorded(tmp_path / "out.jsonl")} == {"/novelty"}


@pytest.mark.parametrize("how", ["in time", "by hand"])
def test_a_recording_ends_when_it_is_no_longer_wished(tmp_path: Path, how: str) -> None:
    recorder = Recorder(tmp_path)
    path = wish(tmp_path)
    recorder.look(START)
    recording = recorder.wants_everything
    assert recording
    if how == "by hand":
        path.unlink()
    recorder.look(START + timedelta(seconds=1) if how == "by hand" else LATER)
    recorder.heard(BUY, is_known=True)
    assert list(recorded(tmp_path / "out.jsonl")) == []
    assert not path.exists()


def test_a_recording_goes_on_over_a_restart(tmp_path: Path) -> None:
    wish(tmp_path)
    for _ in range(2):
        recorder = Recorder(tmp_path)
        recorder.look(START)
        recorder.heard(BUY, is_known=True)
        recorder.close()
    assert len(list(recorded(tmp_path / "out.jsonl"))) == 4


def test_a_place_that_cannot_be_written_ends_it_and_hurts_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(tmp_path)
    ask(tmp_path, Wish(file=str(tmp_path / "missing" / "out.jsonl"), until=LATER))
    recorder.look(START)
    recorder.look(START)
    assert recorder.wants_everything is None
    assert caplog.text.count("the recording cannot be written") == 1
    assert not wish_file(tmp_path).exists()


def test_a_recording_that_nobody_ends_ends_by_its_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.recording.LONGEST_BYTES", 2000)
    recorder = Recorder(tmp_path)
    wish(tmp_path)
    recorder.look(START)
    for _ in range(100):
        recorder.heard(BUY, is_known=True)
    assert (tmp_path / "out.jsonl").stat().st_size < 4000
    assert recorder.wants_everything is None


def test_what_is_no_wish_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    wish_file(tmp_path).write_bytes(b"{")
    Recorder(tmp_path).look(START)
    assert not wish_file(tmp_path).exists()
    assert "is no wish for a recording" in caplog.text


def test_asking_where_no_proxy_ever_ran_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no proxy runs with these settings"):
        wish(tmp_path / "nowhere")


def test_a_file_that_is_damaged_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.write_bytes(b'{"recording":"tradecopier","begun":"2026-03-02T09:30:00Z"}\n{"recording":"exch')
    assert is_recording(path)
    with pytest.raises(UserError, match="not a recording of this version"):
        list(recorded(path))


def test_what_comes_before_the_damage_is_read_all_the_same(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    wish(tmp_path, everything=True)
    recorder.look(START)
    recorder.heard(BUY, is_known=True)
    recorder.heard(BUY, is_known=True)
    recorder.close()
    path = tmp_path / "out.jsonl"
    whole, none = as_far_as_readable(recorded(path))
    path.write_bytes(path.read_bytes()[:-40])
    found, broken = as_far_as_readable(recorded(path))
    assert none is None
    assert found == whole[:2]
    assert "cut off" in str(broken)
