"""Times that cannot be true: a picture whose clock has been set back since, or that was kept by another machine.

A poll says nothing unless it left after what is known; a time in the future would silence every poll until then.
"""

from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

T = TypeVar("T", bound=Struct)


def not_after(found: T, now: datetime) -> T:
    """The same struct with every time in it, at any depth, that is later than `now` set to `now`."""
    changed = {}
    for name in found.__struct_fields__:
        before = getattr(found, name)
        after = _bounded(before, now)
        if after is not before:
            changed[name] = after
    return replace(found, **changed) if changed else found


def _bounded(value: Any, now: datetime) -> Any:
    """The value itself when nothing in it is later."""
    match value:
        case datetime():
            return min(value, now)
        case Struct():
            return not_after(value, now)
        case dict():
            after = {key: _bounded(entry, now) for key, entry in value.items()}
            return after if any(after[key] is not value[key] for key in value) else value
        case tuple():
            bounded = tuple(_bounded(entry, now) for entry in value)
            return bounded if any(a is not b for a, b in zip(bounded, value, strict=True)) else value
        case _:
            return value
