"""Reading a reply while it passes: each chunk goes on to the browser at once, a copy is decoded and read here.

A reply without a length may never end; held back until its end, it would never arrive.
"""

import zlib
from collections.abc import Callable
from functools import partial
from typing import Protocol

import brotli  # type: ignore[import-untyped]
import zstandard

READ_LIMIT = 16 * 1024 * 1024
"""Bytes of one reply, or of one line of an endless one, that are read; what is longer passes all the same."""


class Decode(Protocol):
    """Decodes a content encoding chunk by chunk; `is_whole` says whether what has come could be all of it."""

    @property
    def is_whole(self) -> bool: ...

    def __call__(self, chunk: bytes) -> bytes: ...


class Unreadable(ValueError):
    """The content's encoding is not known, or the content was cut off."""


def decoder(encoding: str) -> Decode:
    """A function that decodes a content encoding chunk by chunk. Raises Unreadable."""
    match encoding.strip().lower():
        case "" | "identity":
            return _Plain()
        case "gzip" | "x-gzip":
            return _Parts(partial(zlib.decompressobj, 16 + zlib.MAX_WBITS))
        case "deflate":
            return _Deflate()
        case "br":
            return _Brotli()
        case "zstd":
            return _Parts(zstandard.ZstdDecompressor().decompressobj)
        case _:
            raise Unreadable(encoding)


class _Plain:
    is_whole = True

    def __call__(self, chunk: bytes) -> bytes:
        return chunk


class _Part(Protocol):
    """What zlib and zstandard give to decode one part, and no more of it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


class _Parts:
    """Members of gzip, or frames of zstd: a server that sends bit by bit may begin a new one with every bit."""

    def __init__(self, fresh: Callable[[], _Part]) -> None:
        self._fresh = fresh
        self._part: _Part | None = None

    @property
    def is_whole(self) -> bool:
        return self._part is None or self._part.eof

    def __call__(self, chunk: bytes) -> bytes:
        found = bytearray()
        while chunk:
            if self._part is None or self._part.eof:
                chunk = chunk.lstrip(b"\0") if self._part else chunk  # some fill up what follows the last one
                self._part = self._fresh() if chunk else self._part
            if self._part and chunk:
                found += self._part.decompress(chunk)
                chunk = self._part.unused_data
        return bytes(found)


class _Deflate:
    """`deflate` means zlib's format, and some servers send the bare one; the first byte tells."""

    def __init__(self) -> None:
        self._part: _Part | None = None

    @property
    def is_whole(self) -> bool:
        return self._part is None or self._part.eof

    def __call__(self, chunk: bytes) -> bytes:
        if self._part is None and chunk:
            has_header = chunk[0] & 0x0F == 8
            self._part = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        return self._part.decompress(chunk) if self._part else b""


class _Brotli:
    def __init__(self) -> None:
        self._decode = brotli.Decompressor()
        self._has_begun = False

    @property
    def is_whole(self) -> bool:
        return not self._has_begun or bool(self._decode.is_finished())

    def __call__(self, chunk: bytes) -> bytes:
        self._has_begun |= bool(chunk)
        return bytes(self._decode.process(chunk)) if chunk else b""


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
        if not chunk and not self._decode.is_whole:
            raise Unreadable("a reply was cut off")
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
