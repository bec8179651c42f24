"""What happened and nobody could be told, as the operator sees it: read from the outbox, whether or not ingest runs.

That it was seen is a small file beside the outbox, written by `ingest untold --clear` and found by the running proxy,
or by the next one.
"""

import logging
from datetime import datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from ingest.recollection import recollect
from ingest.state import Picture
from shared.process import UserError

log = logging.getLogger(__name__)


class Seen(Struct, frozen=True):
    """The operator has seen everything that was noted up to then (UTC)."""

    until: datetime


def pictures(outbox: Path) -> list[Picture]:
    """The pictures in an outbox, as they were kept last. Raises UserError: there is none, or it cannot be read."""
    if not outbox.is_dir():
        raise UserError(f"{outbox}: there is no outbox, so no proxy has run with these settings")
    try:
        kept = recollect(sorted(outbox.glob("*.journal"))).pictures.values()
        return [msgspec.convert(picture, Picture) for picture in kept]
    except (OSError, msgspec.ValidationError) as error:
        raise UserError(f"{outbox}: the outbox cannot be read: {error}") from error


def clear(outbox: Path, shown: list[Picture]) -> None:
    """Say that the operator has seen what these pictures list."""
    if noted := [one.noted for picture in shown for one in picture.missed]:
        draft = _file(outbox).with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(Seen(max(noted))))
        draft.replace(_file(outbox))


def wished(outbox: Path) -> datetime | None:
    """Up to when everything was seen; `None`: nothing new was said. Never raises."""
    path = _file(outbox)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Seen).until
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, ValueError) as error:
        log.error("%s cannot be read and is removed: %s", path, error)
        done(outbox)
        return None


def done(outbox: Path) -> None:
    """What was seen is listed no more."""
    _file(outbox).unlink(missing_ok=True)


def _file(outbox: Path) -> Path:
    return outbox / "seen.json"
