"""Keeps a process's keyring as its key file is: a key that is added, put first or retired counts within a second.

Services go on while keys are exchanged. A file that cannot be used changes nothing and is said once.
"""

import asyncio
import logging
from pathlib import Path

from shared.settings import Security, SettingsError, keyring
from shared.wire import Keyring

log = logging.getLogger(__name__)

EVERY_S = 1.0

Look = tuple[int, int, int]
"""What tells one version of a file from another: when it was changed, its size, and which file it is."""


async def follow(ring: Keyring, every: float = EVERY_S) -> None:
    """Look at the file that `ring` was read from, for ever; a ring without one never changes."""
    if not ring.file:
        return
    path = Path(ring.file)
    seen: Look | str | None = "as it was when the settings were read"
    while True:
        if (now := _look(path)) != seen:
            seen = now
            take_over(ring, path)
        await asyncio.sleep(every)


def take_over(ring: Keyring, path: Path) -> None:
    """Make `ring` what the file says, if it can be used."""
    try:
        fresh = keyring(Security(signing_key_file=path))
    except SettingsError as error:
        log.error("the keys stay as they were: %s", error)
        return
    if (fresh.current, fresh.keys, fresh.retired) != (ring.current, ring.keys, ring.retired):
        ring.become(fresh)
        log.warning("the keys are now %s, %s signs", ", ".join(sorted(fresh.keys)), fresh.current)


def _look(path: Path) -> Look | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
