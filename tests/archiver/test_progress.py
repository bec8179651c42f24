"""Progress is shown after a while, not too often, and leaves no trace."""

from collections.abc import Iterator

import pytest

from archiver.progress import EVERY_S, QUIET_S, Progress


class Watch:
    def __init__(self) -> None:
        self.now = 100.0
        self.shown: list[str] = []
        self.progress = Progress("rows", self.shown.append, lambda: self.now)


def test_what_is_soon_done_shows_nothing() -> None:
    watch = Watch()
    assert list(watch.progress.counted("abc")) == ["a", "b", "c"]
    assert watch.shown == []


def test_what_takes_long_is_counted_a_few_times_a_second_and_then_taken_away() -> None:
    watch = Watch()
    for _ in watch.progress.counted(range(1000)):
        watch.now += QUIET_S / 10
    assert watch.shown[0] == "\r\x1b[K11 rows …"
    assert len(watch.shown) <= 1000 * QUIET_S / 10 / EVERY_S + 2
    assert watch.shown[-1] == "\r\x1b[K"


def test_a_failure_leaves_no_line_behind() -> None:
    watch = Watch()

    def slow() -> Iterator[int]:
        for _ in range(3):
            watch.now += QUIET_S
            yield 1
        raise ConnectionError

    with pytest.raises(ConnectionError):
        list(watch.progress.counted(slow()))
    assert watch.shown[-1] == "\r\x1b[K"
