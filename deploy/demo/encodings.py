"""Compressing what the stand-ins answer, in the encoding that they like best of those that the caller can read."""

import gzip
import zlib
from collections.abc import Callable, Mapping

import brotli  # type: ignore[import-untyped]
from msgspec.structs import replace

from deploy.demo.web import Request, Response

COMPRESS_ABOVE = 256
"""Bytes; a shorter body is not worth it."""


def _brotli(body: bytes) -> bytes:
    packed: bytes = brotli.compress(body, quality=1)
    return packed


ENCODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "br": _brotli,
    "gzip": lambda body: gzip.compress(body, 1),
    "deflate": lambda body: zlib.compress(body, 1),
}
"""By the encoding's name, the best one first."""


def accepted(request: Request) -> frozenset[str]:
    """The encodings that the caller can read."""
    offers = (offer.partition(";") for offer in request.headers.get("accept-encoding", "").lower().split(","))
    return frozenset(name.strip() for name, _, weight in offers if weight.replace(" ", "") not in ("q=0", "q=0.0"))


def packed(request: Request, response: Response) -> Response:
    """The same answer, compressed if that is worth it and the caller can read it; with its length."""
    headers, body = dict(response.headers), response.body
    name = next((name for name in ENCODERS if name in accepted(request)), None)
    if name is not None and len(body) > COMPRESS_ABOVE:
        headers, body = {**headers, "Content-Encoding": name}, ENCODERS[name](body)
    headers["Content-Length"] = str(len(body))
    return replace(response, headers=headers, body=body)
