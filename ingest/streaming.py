"""Reading a reply while it passes: each chunk goes on to the browser at once, a copy is decoded and read here.

A reply without a length may never end; held back until its end, it would never arrive.
"""

import zlib
from collections.abc import Callable

import brotli  # type: ignore[import-untyped]
import zstandard

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of one reply, or of one line of an endless one, that are read; what is longer passes all the same."""

Decode = Callable[[bytes], bytes]


class Unreadable(ValueError):
    """The content's encoding is not known."""


def decoder(encoding: str) -> Decode:
    """A function that decodes a content encoding chunk by chunk. Raises Unreadable."""
    match encoding.strip().lower():
        case "" | "identity":
            return bytes
        case "gzip" | "x-gzip":
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress
        case "deflate":
            return _Deflate()
        case "br":
            decode: Decode = brotli.Decompressor().process
            return decode
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress
        case _:
            raise Unreadable(encoding)


class _Deflate:
    """`deflate` means zlib's format, and some servers send the bare one; the first byte tells."""

    def __init__(self) -> None:
        self._decode: Decode | None = None

    def __call__(self, chunk: bytes) -> bytes:
        if self._decode is None and chunk:
            has_header = chunk[0] & 0x0F == 8
            self._decode = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS).decompress
        return self._decode(chunk) if self._decode else b""


class Passing:
    """One reply on its way. With `on_line`, every line is handed over as it is complete; without, `body` gathers all.

    To be given to the proxy as the function that each chunk passes; `guard` runs whatever is ours and must not raise.
    """

    def __init__(
        self, encoding: str, guard: Callable[[Callable[[], None]], None], on_line: Callable[[bytes], None] | None
    ) -> None:
        self._decode = decoder(encoding)
        self._guard = guard
        self._on_line = on_line
        self._gathered = bytearray()
        self._given_up = False
        self.body: bytes | None = None

    def __call__(self, chunk: bytes) -> bytes:
        if not self._given_up:
            self._guard(lambda: self._read(chunk))
        return chunk

    def _read(self, chunk: bytes) -> None:
        self._given_up = True  # unless all goes well: half a reply must never be read as a whole one
        self._gathered += self._decode(chunk) if chunk else b""
        if self._on_line is not None:
            self._hand_over(self._on_line)
        if len(self._gathered) > READ_LIMIT:
            self._gathered.clear()
            raise Unreadable(f"a reply, or a line of one, is longer than {READ_LIMIT} bytes")
        self._given_up = False
        if not chunk:
            self.body = bytes(self._gathered)

    def _hand_over(self, on_line: Callable[[bytes], None]) -> None:
        *lines, rest = self._gathered.split(b"\n")
        self._gathered = bytearray(rest)
        for line in lines:
            if line.strip():
                on_line(bytes(line))
