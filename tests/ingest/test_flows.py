import json
from datetime import datetime
from pathlib import Path

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from ingest.exchange import Exchange
from ingest.flows import recorded, request
from shared.process import UserError
from tests.ingest.samples import START
from tests.ingest.test_tap import ACCEPTED, BUY, PAGE, PATH


def har(path: Path) -> Path:
    """A recording as a browser saves one: a market buy."""
    entry = {
        "startedDateTime": "2026-03-02T09:30:00.000Z",
        "time": 120,
        "request": {
            "method": "POST", "url": f"https://broker.example{PATH}", "httpVersion": "HTTP/1.1", "cookies": [],
            "headers": [{"name": k, "value": v} for k, v in PAGE.items()], "queryString": [], "headersSize": -1,
            "bodySize": len(BUY), "postData": {"mimeType": "application/x-www-form-urlencoded", "text": BUY},
        },
        "response": {
            "status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "cookies": [], "headers": [],
            "redirectURL": "", "headersSize": -1, "bodySize": -1,
            "content": {"size": len(ACCEPTED), "mimeType": "application/json", "text": ACCEPTED.decode()},
        },
        "cache": {}, "timings": {"send": 0, "wait": 120, "receive": 0}, "serverIPAddress": "127.0.0.1",
    }  # fmt: skip
    path.write_text(
        json.dumps({"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": [entry]}})
    )
    return path


def test_a_recording_gives_the_request_and_then_its_reply_without_secrets(tmp_path: Path) -> None:
    (_, asked), (_, answered) = recorded(har(tmp_path / "trades.har"))
    assert isinstance(asked, Exchange)
    assert isinstance(answered, Exchange)
    assert (asked.status, asked.method, asked.host) == (None, "POST", "broker.example")
    assert (answered.status, answered.answer, answered.flow) == (200, ACCEPTED, asked.flow)
    assert "tOkEn" not in repr((asked, answered))


@pytest.mark.parametrize("content", [b"", b"not a recording", b"{}"])
def test_a_file_that_is_no_recording_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "trades"
    path.write_bytes(content)
    if content:
        with pytest.raises(UserError, match="neither a flow file of mitmproxy nor a HAR file"):
            list(recorded(path))
    else:
        assert list(recorded(path)) == []


def asking(body: bytes, **headers: str) -> Exchange:
    flow = tflow.tflow()
    fields = http.Headers([(name.encode(), value.encode()) for name, value in headers.items()])
    flow.request = http.Request.make("POST", "https://broker.example/accounts/1/orders?locale=en", body, fields)
    return request(flow, START)


@pytest.mark.parametrize(
    ("headers", "page"),
    [
        ({"Origin": "https://a.example"}, "https://a.example"),
        ({"Referer": "https://b.example/chart?x=1"}, "https://b.example"),
        ({"Referer": "https://b.example/", "ORIGIN": "https://a.example"}, "https://a.example"),
        ({"Origin": "", "Referer": "https://b.example/"}, "https://b.example"),
        ({}, ""),
    ],
)
def test_a_request_is_its_pages(headers: dict[str, str], page: str) -> None:
    found = asking(b"qty=1", **headers)
    assert (found.origin, found.path, found.query, found.asked) == (page, "/accounts/1/orders", "locale=en", START)
    assert isinstance(found.asked, datetime)


@pytest.mark.parametrize("name", ["Content-Encoding", "content-encoding"])
def test_a_request_is_decoded_before_secrets_are_looked_for(name: str) -> None:
    flow = tflow.tflow()
    fields = http.Headers([(name.encode(), b"gzip")])
    flow.request = http.Request.make("POST", "https://broker.example/accounts/1/orders", b"", fields)
    flow.request.content = b"qty=1&digitalSignature=sIgNed"
    assert flow.request.raw_content != flow.request.content
    assert request(flow, START).body == b"qty=1"
