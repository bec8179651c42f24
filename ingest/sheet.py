"""A copy of a dict that knows which keys were written, so that nobody has to compare it with the original.

It also knows what was written on the copies that it was made from, since whoever keeps pictures put a `mark` on one.
"""

from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Sheet(dict[K, V]):
    """What is written by other ways than these would go unnoticed, so they are closed.

    `written`: on this copy; `touched`: the keys that were written since `mark` was put on, on whichever copy.
    """

    __slots__ = ("mark", "touched", "written")

    def __init__(self, original: dict[K, V]) -> None:
        super().__init__(original)
        self.written = False
        self.mark: object = None
        self.touched: AbstractSet[K] = frozenset()
        if isinstance(original, Sheet):
            self.mark, self.touched = original.mark, original.touched

    def marked(self, mark: object) -> None:
        """From now on `touched` counts from here."""
        self.mark, self.touched = mark, frozenset()

    def __setitem__(self, key: K, value: V) -> None:
        self._touch(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self._touch(key)
        super().__delitem__(key)

    def pop(self, key: K, *default: Any) -> Any:
        """As of a dict."""
        if key in self:
            self._touch(key)
        return super().pop(key, *default)

    def setdefault(self, key: K, default: V) -> V:
        """As of a dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def _touch(self, key: K) -> None:
        if not (self.written and isinstance(self.touched, set)):  # else it is the set of another copy, or of before
            self.written, self.touched = True, set(self.touched)
        self.touched.add(key)

    def _closed(self, *_: object, **__: object) -> Any:
        raise TypeError("write on a sheet by its keys")

    update = clear = popitem = __ior__ = _closed
