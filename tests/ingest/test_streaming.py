import gzip
import zlib
from collections.abc import Callable
from itertools import pairwise

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from ingest import streaming
from ingest.streaming import Passing, Unreadable, decoder


def bare(content: bytes) -> bytes:
    squeeze = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return squeeze.compress(content) + squeeze.flush()


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


def halves(content: bytes) -> tuple[bytes, bytes]:
    return content[: len(content) // 2], content[len(content) // 2 :]


ENCODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "none": ("", bytes),
    "identity": ("identity", bytes),
    "gzip": ("gzip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "bare deflate": ("deflate", bare),
    "br": ("br", brotli.compress),
    "zstd": ("zstd", zstandard.ZstdCompressor().compress),
    "gzip in members": ("gzip", lambda content: b"".join(gzip.compress(part) for part in halves(content))),
    "gzip filled up": ("gzip", lambda content: gzip.compress(content) + bytes(7)),
    "zstd in frames": ("zstd", lambda content: b"".join(zstd(part) for part in (*halves(content), b""))),
    "zstd with a frame to skip": ("zstd", lambda content: b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd(content)),
}


class Guard:
    """Runs what it is given as the tap does: a surprise is kept and goes no further."""

    def __init__(self) -> None:
        self.surprises: list[Exception] = []

    def __call__(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001  the tap does the same
            self.surprises.append(error)


def chunks(content: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(c % (len(content) + 1) for c in cuts), len(content)]
    return [content[a:b] for a, b in pairwise(places) if a != b]


@pytest.mark.parametrize("name", ENCODINGS)
@given(content=st.binary(max_size=300), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_whatever_the_encoding_and_the_chunks_the_reply_passes_unchanged_and_is_read_whole(
    name: str, content: bytes, cuts: list[int]
) -> None:
    encoding, encode = ENCODINGS[name]
    passing = Passing(encoding, Guard(), None)
    sent = chunks(encode(content), cuts)
    assert [passing(chunk) for chunk in sent] == sent
    assert passing.body is None
    passing(b"")
    assert passing.body == content


@pytest.mark.parametrize("name", [name for name in ENCODINGS if ENCODINGS[name][0] not in ("", "identity")])
@pytest.mark.parametrize("size", [0, 1, 30, 3000])
def test_a_reply_that_was_cut_off_is_never_taken_for_a_whole_one(name: str, size: int) -> None:
    encoding, encode = ENCODINGS[name]
    content, guard = bytes(i * 7 % 251 for i in range(size)), Guard()
    sent = encode(content)
    for length in {*range(1, min(len(sent), 60)), *range(max(1, len(sent) - 12), len(sent))}:
        passing = Passing(encoding, guard, None)
        passing(sent[:length])
        passing(b"")
        parts = (*halves(content), b"") if "frame" in name or "member" in name else ()
        assert passing.body in (None, content, *parts)
    assert guard.surprises or len(sent) == 1


@given(
    lines=st.lists(st.binary(min_size=1, max_size=20).filter(bytes.strip), max_size=6),
    cuts=st.lists(st.integers(0, 200)),
)
def test_lines_are_handed_over_as_they_are_complete(lines: list[bytes], cuts: list[int]) -> None:
    lines = [line.replace(b"\n", b"x") for line in lines]
    heard: list[bytes] = []
    passing = Passing("gzip", Guard(), heard.append)
    for chunk in chunks(gzip.compress(b"\n".join(lines) + b"\n"), cuts):
        passing(chunk)
    assert heard == lines


def test_a_line_is_read_before_the_endless_reply_ends() -> None:
    squeeze, heard = zlib.compressobj(wbits=31), list[bytes]()
    passing = Passing("gzip", Guard(), heard.append)
    passing(squeeze.compress(b'{"a":1}\n') + squeeze.flush(zlib.Z_SYNC_FLUSH))
    assert heard == [b'{"a":1}']


def test_a_broken_reply_passes_and_is_never_taken_for_a_whole_one() -> None:
    guard = Guard()
    passing = Passing("gzip", guard, None)
    sent = [b"this is no gzip", b"nor this", b""]
    assert [passing(chunk) for chunk in sent] == sent
    assert len(guard.surprises) == 1
    assert passing.body is None


def test_a_surprise_while_a_line_is_read_stops_the_reading_and_not_the_passing() -> None:
    def refuse(_line: bytes) -> None:
        raise RuntimeError

    guard = Guard()
    passing = Passing("", guard, refuse)
    assert [passing(chunk) for chunk in (b"a\n", b"b\n")] == [b"a\n", b"b\n"]
    assert len(guard.surprises) == 1


def test_what_is_too_long_to_read_passes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "READ_LIMIT", 10)
    guard = Guard()
    passing = Passing("", guard, None)
    assert passing(b"x" * 11) == b"x" * 11
    assert passing(b"") == b""
    assert passing.body is None
    assert len(guard.surprises) == 1


def test_an_encoding_that_nobody_knows_is_not_guessed() -> None:
    with pytest.raises(Unreadable):
        decoder("rot13")
