"""A copy of a dict that knows whether it was written on, so that nobody has to compare it with the original."""

from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Sheet(dict[K, V]):
    """What is written by other ways than these would go unnoticed, so they are closed."""

    __slots__ = ("written",)

    def __init__(self, original: dict[K, V]) -> None:
        super().__init__(original)
        self.written = False

    def __setitem__(self, key: K, value: V) -> None:
        self.written = True
        super().__setitem__(key, value)

    def __delitem__(self, key: K) -> None:
        self.written = True
        super().__delitem__(key)

    def pop(self, key: K, *default: Any) -> Any:
        """As of a dict."""
        if key in self:
            self.written = True
        return super().pop(key, *default)

    def setdefault(self, key: K, default: V) -> V:  # type: ignore[override]
        """As of a dict."""
        if key not in self:
            self[key] = default
        return self[key]

    def _closed(self, *_: object, **__: object) -> Any:
        raise TypeError("write on a sheet by its keys")

    update = clear = popitem = __ior__ = _closed
