import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.explain import explain
from ingest.flows import recorded
from ingest.har import frames
from ingest.recording import as_far_as_readable
from tests.ingest.story import PAPER

URL = "wss://pushstream.tradingview.com/message-pipe-ws/private_feed"
ORDER = {
    "id": 1, "symbol": "NASDAQ:LHAI", "symboltype": "stock", "side": "buy", "qty": 5, "type": "limit", "price": 10.3,
    "status": "working",
}  # fmt: skip
TEXT = json.dumps(
    {"text": {"channel": "trading", "content": {"m": "order_update", "accountId": 1234567, "p": ORDER}}}
)  # fmt: skip


def saved(path: Path, messages: Any, url: str = URL, mark: str = "") -> Path:
    """A HAR file with one websocket."""
    entry = {"startedDateTime": "2026-03-02T09:30:00.000Z", "request": {"url": url}, "_webSocketMessages": messages}
    path.write_text(mark + json.dumps({"log": {"entries": [{"request": {"url": "https://x"}}, entry]}}))
    return path


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "with a byte order mark"])
def test_what_the_push_channel_said_is_explained(tmp_path: Path, mark: str) -> None:
    messages = [
        {"type": "send", "time": 1772443800.0, "opcode": 1, "data": TEXT},
        {"type": "receive", "time": 1772443800.5, "opcode": 1, "data": TEXT},
    ]
    found = list(frames(saved(tmp_path / "x.har", messages, mark=mark)))
    assert [frame.from_client for _, frame in found] == [True, False]
    assert "order.placed NASDAQ:LHAI order 1: buy 5" in "\n".join(explain(found, [PAPER]))


def request(number: int) -> dict[str, Any]:
    """A call as browsers keep it."""
    return {
        "startedDateTime": f"2026-03-02T09:30:0{number}.000Z", "time": 3.5,
        "request": {"method": "GET", "url": f"https://x/{number}", "httpVersion": "h2", "headers": []},
        "response": {"status": 200, "httpVersion": "h2", "headers": [], "content": {"text": "{}"}},
    }  # fmt: skip


def test_an_entry_that_cannot_be_read_spoils_no_other(tmp_path: Path) -> None:
    odd = [request(1) | {"time": None}, request(2) | {"request": {"url": "data:,"}}, {}, None, "x"]
    path = tmp_path / "x.har"
    path.write_text(json.dumps({"log": {"entries": [odd[0], request(3), *odd[1:], request(4)]}}))
    found, broken = as_far_as_readable(recorded(path))
    assert [heard.path for _, heard in found] == ["/3", "/3", "/4", "/4"]
    assert "5 of 7 entries cannot be read, the first is number 1" in str(broken)


def test_messages_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    messages = [
        {},
        None,
        {"time": "x", "data": ""},
        {"time": 1e300, "data": ""},
        {"type": "receive", "time": 1, "data": "a"},
    ]
    (only,) = frames(saved(tmp_path / "x.har", messages, "ws://h:8080/p"))
    assert (only[1].port, only[1].text) == (8080, b"a")


@given(
    st.one_of(st.none(), st.integers(), st.text(), st.lists(st.integers()), st.dictionaries(st.text(), st.integers()))
)
def test_a_file_without_any_gives_none(tmp_path_factory: pytest.TempPathFactory, value: Any) -> None:
    path = tmp_path_factory.mktemp("har") / "x"
    for content in (value, {"log": value}, {"log": {"entries": value}}, {"log": {"entries": [value]}}):
        path.write_text(json.dumps(content))
        assert list(frames(path)) == []
    path.write_bytes(b"4:7;\x00\xff")
    assert list(frames(path)) == []
