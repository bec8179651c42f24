"""What Grafana's own types (of version 11.6, generated from its schema) make of a dashboard.

They pass over in silence what they do not know, as Grafana does; so what they have read is written again and compared.
"""

import enum
import json
import types
import typing
from collections.abc import Iterator
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

UNSAID = {"templating.list.definition"}
"""What Grafana writes and reads itself, and its schema does not list."""


def complaints(board: dict[str, Any]) -> list[str]:
    """What Grafana would pass over, or not take, in a dashboard."""
    register_default_plugins()
    read = Dashboard.from_json(board)
    again = json.loads(json.dumps(read, cls=JSONEncoder))
    passed_over = [f"{name} is not known" for name in lost(board, again) if name not in UNSAID]
    return [*passed_over, *strangers(read, Dashboard, "")]


def lost(given: Any, kept: Any, name: str = "") -> Iterator[str]:
    """The names of what was given and was not kept as it was."""
    match given, kept:
        case dict(), dict():
            for key, value in given.items():
                yield from lost(value, kept.get(key), f"{name}.{key}".lstrip("."))
        case list(), list() if len(given) == len(kept):
            for one, other in zip(given, kept, strict=True):
                yield from lost(one, other, name)
        case _ if given != kept:
            yield name


def strangers(value: Any, hint: Any, name: str) -> Iterator[str]:
    """Values that are not of the type that they have to be of."""
    kind, inside = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
        yield from _strangers_in_all(value, inside, name)
    elif kind is list and isinstance(value, list):
        for each in value:
            yield from strangers(each, inside[0], name)
    elif _is_enum(hint) or kind is typing.Literal:
        if value not in (inside or {member.value for member in hint}):
            yield f"{name} cannot be {value!r}"
    elif _is_model(value) and (not isinstance(hint, type) or isinstance(value, hint)):
        for key, wanted in typing.get_type_hints(type(value)).items():
            yield from strangers(getattr(value, key), wanted, f"{name}.{key}".lstrip("."))
    elif hint not in (object, Any) and not isinstance(value, (int, float) if hint is float else kind or hint):
        yield f"{name} is a {type(value).__name__}"


def _strangers_in_all(value: Any, hints: tuple[Any, ...], name: str) -> list[str]:
    """Nothing when one of the types fits; else what is wrong for the nearest, in which it is found deepest."""
    found = [list(strangers(value, hint, name)) for hint in hints]
    return [] if [] in found else max(found, key=lambda each: max(text.partition(" ")[0].count(".") for text in each))


def _is_enum(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def _is_model(value: Any) -> bool:
    return hasattr(type(value), "from_json") and not isinstance(value, enum.Enum)
