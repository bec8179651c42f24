"""Pure: what a key of the settings may be, in words, from the type that reads it."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from msgspec import Meta

from shared.settings import Secret

PLAIN: Mapping[Any, str] = {
    str: "text",
    bool: "`true`, `false`",
    int: "whole number",
    float: "number",
    Decimal: "number",
    Path: "path",
    Secret: "text, secret",
}


def described(kind: Any) -> str:
    """The type in a few words."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is Annotated:
        return described(inner[0]) + bounds(inner[1])
    if origin is Literal:
        return ", ".join(f'`"{value}"`' for value in inner)
    if origin in (Union, UnionType):
        return ", ".join(described(each) for each in inner if each is not NoneType)
    if origin in (tuple, frozenset):
        return f"list of: {described(inner[0])}"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return f"table of: {described(inner[1])}"
    raise TypeError(f"{kind} has no words yet")


def bounds(meta: Meta) -> str:
    """The bounds of a number, or nothing."""
    said = {"at least": meta.ge, "above": meta.gt, "at most": meta.le, "below": meta.lt}
    words = [f"{how} {bound:g}" for how, bound in said.items() if bound is not None]
    return f" {', '.join(words)}" if words else ""
