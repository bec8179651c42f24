"""Says how far something has come, where somebody looks on: only after two seconds, and a few times a second."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
QUIET_S = 2.0
EVERY_S = 0.2


class Progress:
    """Counts on a line of its own. `show` writes text as it is, `clock` gives monotonic seconds."""

    def __init__(self, noun: str, show: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._noun = noun
        self._show = show
        self._clock = clock
        self._due = clock() + QUIET_S
        self._shown = False

    def seen(self, count: int) -> None:
        """So many are done."""
        if self._clock() >= self._due:
            self._due = self._clock() + EVERY_S
            self._shown = True
            self._show(f"\r\x1b[K{count:,} {self._noun} …")

    def counted(self, rows: Iterable[T]) -> Iterator[T]:
        """The same rows, counted as they pass."""
        try:
            for count, row in enumerate(rows, 1):
                self.seen(count)
                yield row
        finally:
            self.over()

    def over(self) -> None:
        """Take the line away."""
        if self._shown:
            self._show("\r\x1b[K")
            self._shown = False
