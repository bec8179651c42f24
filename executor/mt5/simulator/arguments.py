"""How the vendor's package checks its arguments, rule by rule and text by text. Pure.

A refused argument is `Invalid` (the function returns None or False, `last_error` is -2 with the text); an integer that
C cannot hold is `Overflow`, which the package turns into a SystemError.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from operator import index
from typing import Any

from executor.mt5.api import MAX_TEXT, utf16_units
from executor.mt5.records import SentRequest
from executor.mt5.simulator.ask import FLOATS

TEXTS = ("symbol", "comment")
MAX_GROUP = 1997
MAX_PATH = 257
MAX_SECRET = 253
UINT64, UINT32 = 2**64, 2**32

INVALID = "Invalid arguments"
COUNT = "Invalid number of arguments"
UNNAMED = "Unnamed arguments not allowed"


class Invalid(Exception):
    """The text of `last_error` -2."""


class Overflow(Invalid):
    """The same, and the package raises SystemError."""


def named(name: str) -> str:
    return f'Invalid "{name}" argument'


def integer(value: Any, text: str, low: int = 0, high: int = UINT64) -> int:
    """A real int (bool and enumerations are ones) within [low, high)."""
    if not isinstance(value, int):
        raise Invalid(text)
    if not low <= value < high:
        raise Overflow(text)
    return int(value)


def string(value: Any, text: str, limit: int) -> str:
    """A str of at most `limit` UTF-16 units."""
    if not isinstance(value, str) or utf16_units(value) > limit:
        raise Invalid(text)
    return str(value)


def request(args: Sequence[Any], kwargs: Mapping[str, Any], empty_mapping: bool) -> dict[str, Any]:
    """The fields of `order_send` and `order_check`: one dict, or keywords; checked in the vendor's order."""
    if args and (kwargs or empty_mapping):
        raise Invalid(UNNAMED)
    if not kwargs and (len(args) != 1 or not isinstance(args[0], dict)):
        raise Invalid(INVALID)
    given: Mapping[str, Any] = kwargs or args[0]
    return {name: _field(name, given[name]) for name in SentRequest.__struct_fields__ if name in given}


def _field(name: str, value: Any) -> Any:
    if name in FLOATS:
        if not isinstance(value, float):
            raise Invalid(named(name))
        return float(value)
    if name in TEXTS:
        return string(value, named(name), MAX_TEXT)
    if name == "expiration":
        return integer(value, named(name), -(2**63), 2**63)
    return integer(value, named(name))


def symbol(args: Sequence[Any], at_most: int = 1) -> str:
    """The name that comes first in the positional-only functions."""
    if not 1 <= len(args) <= at_most:
        raise Invalid(INVALID)
    return string(args[0], INVALID, MAX_TEXT)


def selection(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """`positions_get` and `orders_get`: `ticket`, else `symbol`, else `group`; the rest is not looked at."""
    if args:
        raise Invalid(UNNAMED)
    if "ticket" in kwargs:
        return {"ticket": integer(kwargs["ticket"], named("ticket"))}
    if "symbol" in kwargs:
        return {"symbol": string(kwargs["symbol"], named("symbol"), MAX_TEXT)}
    return group(kwargs)


def group(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {"group": string(kwargs["group"], named("group"), MAX_GROUP)} if "group" in kwargs else {}


def symbols_group(args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """`symbols_get`: the filter as the only positional argument, or by its name."""
    if len(args) > 1:
        raise Invalid(COUNT)
    if args:
        return {"group": string(args[0], "Invalid 1st unnamed argument", MAX_GROUP)}
    return group(kwargs)


class Dates:
    """Range arguments. `overflow` is set when an int did not fit: the call is made and then SystemError raised."""

    def __init__(self) -> None:
        self.overflow = False

    def history(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """`history_*_get`: two dates and perhaps `group`, or `ticket`, or `position`."""
        if len(args) >= 2:
            return self.range(args) | group(kwargs)
        for name in ("ticket", "position"):
            if name in kwargs:
                if args:
                    raise Invalid(UNNAMED)
                return {name: integer(kwargs[name], named(name))}
        raise Invalid(INVALID)

    def range(self, args: Sequence[Any]) -> dict[str, Any]:
        """Exactly two positional dates."""
        if len(args) != 2:
            raise Invalid(COUNT if len(args) > 2 else INVALID)
        texts = ("Invalid 1st unnamed argument", "Invalid 2nd unnamed argument")
        first, last = (self.date(value, text) for value, text in zip(args, texts, strict=True))
        return {"from": first, "to": last}

    def date(self, value: Any, text: str) -> int:
        """Seconds in an int32: ints are range-checked, floats and datetimes are cut off."""
        if isinstance(value, dt.datetime):
            return _int32(_timestamp(value, text))
        if isinstance(value, float):
            return _int32(value)
        if not isinstance(value, int):
            raise Invalid(text)
        self.overflow = self.overflow or not -(2**31) <= value < 2**31
        return _int32(value)


def _timestamp(moment: dt.datetime, text: str) -> float:
    """A naive time is the host's local time, and Windows knows none before 1970-01-02 or after 3000."""
    first, last = (1970, 1, 2), (3000, 12, 31)
    if moment.tzinfo is None and not first <= (moment.year, moment.month, moment.day) <= last:
        raise Overflow(text)
    return moment.timestamp()


def _int32(seconds: float) -> int:
    if not math.isfinite(seconds):
        return -(2**31)
    return (int(seconds) + 2**31) % UINT32 - 2**31


def calculation(args: Sequence[Any], prices: int) -> dict[str, Any]:
    """`order_calc_*`: action, symbol, volume and one or two prices; numbers first, then the name."""
    if len(args) != 3 + prices:
        raise Invalid(INVALID)
    if not isinstance(args[0], int):
        raise Overflow(INVALID)
    numbers = [_number(value) for value in args[2:]]
    names = ("volume", "price") if prices == 1 else ("volume", "price_open", "price_close")
    name = string(args[1], INVALID, MAX_TEXT)
    action = max(-(2**63), min(2**63 - 1, int(args[0])))  # of any size, and none of them means more than another
    return {"action": action, "symbol": name, **dict(zip(names, numbers, strict=True))}


def _number(value: Any) -> float:
    if isinstance(value, str):
        raise Overflow(INVALID)
    try:
        return float(value)
    except (TypeError, ValueError):
        raise Overflow(INVALID) from None


def copying(args: Sequence[Any], shape: str, dates: Dates) -> dict[str, Any]:
    """`copy_*`: `shape` has a letter per argument, s(ymbol), i(nt32) or d(ate); the integers are looked at first."""
    if len(args) != len(shape):
        raise Invalid(INVALID)
    for value in (value for value, letter in zip(args, shape, strict=True) if letter == "i"):
        _index(value)
    name = string(args[0], INVALID, MAX_TEXT)
    for value in (value for value, letter in zip(args, shape, strict=True) if letter == "d"):
        dates.date(value, INVALID)
    return {"symbol": name}


def _index(value: Any) -> int:
    try:
        number = index(value)
    except TypeError:
        raise Overflow(INVALID) from None
    if not -(2**31) <= number < 2**31:
        raise Overflow(INVALID)
    return number


def session(args: Sequence[Any], kwargs: Mapping[str, Any], first: str) -> dict[str, Any]:
    """`initialize` (first is `path`) and `login` (first is `login`): one positional, the rest by name."""
    if len(args) > 1:
        raise Invalid(COUNT)
    given = {**kwargs, **({first: args[0]} if args else {})}
    text = "Invalid 1st unnamed argument" if args else named(first)
    checked: dict[str, Any] = {}
    if "path" in given and first == "path":
        checked["path"] = string(given["path"], text, MAX_PATH)
    if "login" in given:
        checked["login"] = _login(given["login"], text if first == "login" else named("login"), first)
    for name in ("password", "server"):
        if name in given:
            checked[name] = string(given[name], named(name), MAX_SECRET)
    if "timeout" in given:
        checked["timeout"] = integer(given["timeout"], named("timeout"), 0, UINT32)
    return checked


def _login(value: Any, text: str, first: str) -> int:
    number = integer(value, text)
    if first == "login" and number == 0:
        raise Invalid(named("login"))
    return number
