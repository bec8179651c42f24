"""The pictures of all source accounts, and how they are kept: whole at first, then what changed, as a patch.

A patch names the fields that are different now. Of a field with entries (orders, positions, instruments) it holds only
those that are new or different, and `null` for those that are gone, so that keeping a picture costs what changed and
not what there is.
"""

import logging
from collections.abc import Mapping
from itertools import compress
from operator import is_not
from typing import Any, get_origin, get_type_hints

import msgspec
from msgspec import Raw

from ingest.sheet import Sheet
from ingest.state import Picture

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""A source's name and a source account."""

_WRITTEN = tuple(name for name, kind in get_type_hints(Picture).items() if get_origin(kind) is dict)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Picture)


class Album:
    """Begins with the pictures that the outbox has kept."""

    def __init__(self, kept: Mapping[str, Raw]) -> None:
        self._pictures: dict[Key, Picture] = {}
        self._kept: dict[Key, Picture] = {}
        self._marks: dict[Key, object] = {}
        for name, content in kept.items():
            self._restore(name, content)

    def picture(self, source: str, account: str) -> Picture | None:
        """What is known of a source account; `None` when nobody has looked at it yet."""
        return self._pictures.get((source, account))

    def accounts(self, source: str) -> set[str]:
        """The accounts of a source that somebody has looked at."""
        return {account for name, account in self._pictures if name == source}

    def put(self, picture: Picture) -> bool:
        """Replace an account's picture; whether it is one that has never been kept."""
        key = (picture.source, picture.account)
        self._pictures[key] = picture
        return key not in self._kept

    def adopt(self, picture: Picture) -> Raw:
        """Put a picture in place of an account's as if it had always been kept; how it is to be kept, whole."""
        self._pictures[picture.source, picture.account] = picture
        self._keep((picture.source, picture.account), picture)
        return Raw(_ENCODER.encode(picture))

    def of(self, source: str) -> list[Picture]:
        """The pictures of a source's accounts."""
        return [picture for (name, _), picture in self._pictures.items() if name == source]

    def changes(self, source: str) -> dict[str, Raw]:
        """What is to be kept of the source's pictures since this was last asked."""
        found: dict[str, Raw] = {}
        for key, picture in self._pictures.items():
            before = self._kept.get(key)
            if key[0] == source and picture is not before:
                found["/".join(key)] = Raw(
                    _ENCODER.encode(patch(before, picture, self._marks[key]) if before else picture)
                )
                self._keep(key, picture)
        return found

    def _keep(self, key: Key, picture: Picture) -> None:
        mark = self._marks[key] = object()
        for name in _WRITTEN:
            if isinstance(sheet := getattr(picture, name), Sheet):
                sheet.marked(mark)
        self._kept[key] = picture

    def whole(self) -> dict[str, Raw]:
        """All pictures, whole, as far as they were given out by `changes`."""
        return {"/".join(key): Raw(_ENCODER.encode(picture)) for key, picture in self._kept.items()}

    def _restore(self, name: str, content: Raw) -> None:
        try:
            picture = _DECODER.decode(content)
        except (msgspec.DecodeError, ValueError) as error:
            log.error("the picture of %s cannot be read, what happened meanwhile is not seen: %s", name, error)
            return
        self._pictures[picture.source, picture.account] = picture
        self._keep((picture.source, picture.account), picture)


def patch(before: Picture, after: Picture, mark: object = None) -> dict[str, Any]:
    """What makes `before` into `after`; see `ingest.records.patched` for the way back.

    `mark` is what was put on the sheets of `before`, so that those of `after` know what was written since.
    """
    found: dict[str, Any] = {}
    for name in Picture.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if new is old:
            continue
        if isinstance(new, dict):
            if changed := _different(old, new, mark):
                found[name] = changed
        elif new != old:
            found[name] = new
    return found


def _different(old: dict[str, Any], new: dict[str, Any], mark: object) -> dict[str, Any]:
    if mark is None or not isinstance(new, Sheet) or new.mark is not mark:
        return _entries(old, new)
    return {key: new.get(key) for key in new.touched if old.get(key) != new.get(key)}


def _entries(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The entries that are new or different, and `None` for those that are gone.

    Most values are the very same objects, which is found out without a line of Python for each.
    """
    others = compress(new, map(is_not, new.values(), map(old.get, new)))
    changed = {key: new[key] for key in others if old.get(key) != new[key]}
    added = sum(key not in old for key in changed)
    return changed if len(old) + added == len(new) else changed | dict.fromkeys(old.keys() - new.keys())
