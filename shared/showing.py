"""Pure: what was read from Redis, as it may be shown to a person and reckoned with beside the work.

Whoever has a service's Redis password may have written it. So a text is one line that does nothing to a screen, a
number is one, and a moment is one that can be compared with now; else all of it counts as what cannot be read.
"""

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

LONGEST = 500
"""Characters of a text that are shown."""
MOST, SMALLEST = 10**18, -100
"""Above every quantity, price and count; and below the exponent of what any division of ours leaves."""
YEARS = range(1900, 9000)


class Unfit(Exception):
    """A number that is none, or a moment that nobody can compare with now."""


def line(text: str | bytes) -> str:
    """A text in one line, whatever it holds."""
    text = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:LONGEST])
    return shown if len(text) <= LONGEST else f"{shown}…"


def fit(found: T) -> T | None:
    """The same, fit to be shown; None when it is not."""
    try:
        content = _fit(msgspec.to_builtins(found, builtin_types=(Decimal, datetime, date)))
        return msgspec.convert(content, type=type(found))
    except (Unfit, msgspec.ValidationError):
        return None


def read(raw: bytes, kind: type[T]) -> T | None:
    """What JSON says, fit to be shown; None when nobody can read it."""
    try:
        return fit(msgspec.json.decode(raw, type=kind))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _fit(value: Any) -> Any:
    match value:
        case str():
            return line(value)
        case None | bool():
            return value
        case int():
            return _sound(value, abs(value) < MOST)
        case float():
            return _sound(value, math.isfinite(value) and abs(value) < MOST)
        case Decimal():
            return _sound(value, value.is_finite() and abs(value) < MOST and _last(value) >= SMALLEST)
        case date():
            return _sound(value, value.year in YEARS and (not isinstance(value, datetime) or value.tzinfo is not None))
        case Mapping():
            return {_fit(key): _fit(inner) for key, inner in value.items()}
        case _:
            return [_fit(inner) for inner in value]


def _last(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else SMALLEST - 1


def _sound(value: T, is_sound: bool) -> T:
    if not is_sound:
        raise Unfit
    return value
