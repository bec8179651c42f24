"""The pictures of all source accounts, and which of them changed since they were last kept on disk.

A broker's list of instruments is long and hardly ever changes, so it is kept beside its picture and written on its own.
"""

import logging
from collections.abc import Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from ingest.calls import Instrument
from ingest.state import Picture

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""A source's name and a source account."""

_ENCODER = msgspec.json.Encoder()
_PICTURE = msgspec.json.Decoder(Picture)
_INSTRUMENTS = msgspec.json.Decoder(dict[str, Instrument])
_LISTED = "#instruments"


class Album:
    """Begins with the pictures that the outbox has kept."""

    def __init__(self, kept: Mapping[str, Raw]) -> None:
        self._pictures: dict[Key, Picture] = {}
        self._kept: dict[Key, Picture] = {}
        for name, content in kept.items():
            if not name.endswith(_LISTED):
                self._restore(name, content, kept.get(name + _LISTED))

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

    def unkept(self, source: str) -> dict[str, Raw]:
        """The source's pictures that changed since they were last asked for here, as the outbox keeps them."""
        found: dict[str, Raw] = {}
        for key, picture in self._pictures.items():
            before = self._kept.get(key)
            if key[0] == source and picture is not before:
                found |= _kept_as("/".join(key), picture, before)
                self._kept[key] = picture
        return found

    def _restore(self, name: str, content: Raw, listed: Raw | None) -> None:
        try:
            picture = _PICTURE.decode(content)
            picture = replace(picture, instruments=_INSTRUMENTS.decode(listed) if listed else {})
        except (msgspec.DecodeError, ValueError) as error:
            log.error(
                "the picture of %s cannot be read by this version, what happened meanwhile is not seen: %s", name, error
            )
            return
        self._pictures[picture.source, picture.account] = self._kept[picture.source, picture.account] = picture


def _kept_as(name: str, picture: Picture, before: Picture | None) -> dict[str, Raw]:
    found = {name: Raw(_ENCODER.encode(replace(picture, instruments={})))}
    if before is None or picture.instruments != before.instruments:
        found[name + _LISTED] = Raw(_ENCODER.encode(picture.instruments))
    return found
