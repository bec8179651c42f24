"""A reply in any encoding says exactly what it says, and one that is cut anywhere says nothing: it is a failed poll, or
a call without a reply."""

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from mitmproxy import http
from mitmproxy.test import tflow

from ingest.calls import Event, Note, PlaceOrder, PositionsShown, Unanswered
from ingest.flows import exchange
from ingest.picture import hear
from tests.ingest.story import BROKER, START
from tests.ingest.test_streaming import bare

ROWS = b'[{"id":"5","instrument":"EURUSD","qty":0.1,"side":"buy","avgPrice":1.08}]'
POLL = b'{"s":"ok","d":' + ROWS + b"}"
REPLY = b'{"s":"ok","d":{"orderId":"77"}}'
FORM = b"instrument=EURUSD&qty=0.1&side=buy&type=market"


def halves(content: bytes) -> tuple[bytes, bytes]:
    return content[: len(content) // 2], content[len(content) // 2 :]


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "gzip": ("gzip", gzip.compress),
    "gzip, in capitals": ("GZIP", gzip.compress),
    "gzip in members": ("gzip", lambda content: b"".join(gzip.compress(part) for part in halves(content))),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstd),
    "zstd in frames": ("zstd", lambda content: b"".join(zstd(part) for part in halves(content))),
}


def heard(method: str, path: str, encoding: str, sent: bytes) -> Event:
    """What a reply with that body says, captured as the tap does."""
    request = http.Request.make(method, f"https://broker.example/accounts/10001/{path}?locale=en", FORM)
    flow = tflow.tflow(req=request, resp=http.Response.make(200, b""))
    assert flow.response is not None
    flow.response.headers.update({"content-encoding": encoding} if encoding else {})
    flow.response.raw_content = sent
    return hear(exchange(flow, START, START), BROKER)[-1]


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_reply_in_any_encoding_is_read_as_it_is(name: str) -> None:
    encoding, encode = ENCODINGS[name]
    poll, call = heard("GET", "positions", encoding, encode(POLL)), heard("POST", "orders", encoding, encode(REPLY))
    assert isinstance(poll, PositionsShown)
    assert [(row.id, str(row.quantity)) for row in poll.rows] == [("5", "0.1")]
    assert isinstance(call, PlaceOrder)
    assert call.order_id == "77"


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_reply_that_was_cut_says_nothing_wherever_it_was(name: str) -> None:
    encoding, encode = ENCODINGS[name]
    for length in range(len(encode(POLL))):
        poll = heard("GET", "positions", encoding, encode(POLL)[:length])
        assert isinstance(poll, Note), length
        assert poll.kind == "poll-failed"
    for length in range(len(encode(REPLY))):
        assert isinstance(heard("POST", "orders", encoding, encode(REPLY)[:length]), Unanswered), length


@pytest.mark.parametrize("encoding", ["gzip, br", "lzma", "gzip", "zstd"])
def test_what_nobody_can_decode_says_nothing(encoding: str) -> None:
    sent = brotli.compress(gzip.compress(POLL))
    assert isinstance(heard("GET", "positions", encoding, sent), Note)
    assert isinstance(heard("POST", "orders", encoding, sent), Unanswered)
