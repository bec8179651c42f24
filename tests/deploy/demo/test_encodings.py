"""What is sent compressed, and how."""

import gzip
import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import pytest

from deploy.demo.encodings import COMPRESS_ABOVE, packed
from deploy.demo.web import Request, Response

LONG = b"0123456789" * 100


def offering(offer: str) -> Request:
    return Request(method="GET", path="/", query={}, headers={"accept-encoding": offer} if offer else {}, body=b"")


@pytest.mark.parametrize(
    ("offer", "name", "unpack"),
    [
        ("gzip, deflate, br, zstd", "br", brotli.decompress),
        ("gzip;q=1.0, br; q=0", "gzip", gzip.decompress),
        ("deflate", "deflate", zlib.decompress),
        ("zstd", None, bytes),
        ("", None, bytes),
    ],
)
def test_the_best_encoding_that_the_caller_can_read(
    offer: str, name: str | None, unpack: Callable[[bytes], bytes]
) -> None:
    found = packed(offering(offer), Response(body=LONG, headers={"X": "y"}, status=401, cookies={"a": "b"}))
    assert (found.headers.get("Content-Encoding"), found.headers["X"], found.status) == (name, "y", 401)
    assert found.cookies == {"a": "b"}
    assert unpack(found.body) == LONG
    assert found.headers["Content-Length"] == str(len(found.body))


def test_a_short_answer_stays_as_it_is() -> None:
    assert packed(offering("br"), Response(body=b"x" * COMPRESS_ABOVE)).body == b"x" * COMPRESS_ABOVE
