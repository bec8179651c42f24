"""What stands in Redis and cannot have been written by us: it is said once, by name, and passed by.

Whoever has an executor's password may write anything into its account's keys, and into the names of groups. That must
neither end the archiver nor keep it from trimming for everybody else.
"""

import logging

from redis.exceptions import ResponseError

log = logging.getLogger(__name__)

REMEMBERED, SHOWN = 1000, 120
"""Things that are said, and bytes of a name that are shown: whoever makes up names may make up many, and long ones."""


class Strangers:
    """Says each thing once."""

    def __init__(self) -> None:
        self._said: set[tuple[bytes | str, str]] = set()

    def pass_by(self, name: bytes | str, why: str) -> None:
        """Say why what has this name is passed by."""
        if (name, why) not in self._said and len(self._said) < REMEMBERED:
            self._said.add((name, why))
            log.warning("passed by: %s %s", shown(name), why)


def shown(name: bytes | str) -> str:
    """A name in one line, whatever it holds."""
    name = name.encode() if isinstance(name, str) else name
    text = name[:SHOWN].decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text) + ("…" if len(name) > SHOWN else "")


def text(name: bytes) -> str | None:
    """A name as text that PostgreSQL takes too; None for what is none, and so none of ours."""
    try:
        return name.decode() if b"\0" not in name else None
    except UnicodeDecodeError:
        return None


def no_group(error: ResponseError) -> bool:
    """Whether a group has gone since it was listed."""
    return str(error).startswith("NOGROUP")
