"""Keeps a process's keyring as its key file is: a key that is added, put first or retired counts within a second.

Services go on while keys are exchanged. A file that cannot be used changes nothing and is said once. It may lie on a
drive of the network: a drive that hangs holds up the look at the file, which is said too, and nothing else.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TypeVar

from shared.settings import Security, SettingsError, keyring
from shared.wire import Keyring

log = logging.getLogger(__name__)

EVERY_S = 1.0
HANGS_S = 10.0
"""A look at the file that takes longer than this is worth saying."""

Look = tuple[int, int, int]
"""What tells one version of a file from another: when it was changed, its size, and which file it is."""
News = Keyring | SettingsError
"""What a file holds that has changed, or why it cannot be used."""
T = TypeVar("T")


async def follow(ring: Keyring, every: float = EVERY_S, hangs: float = HANGS_S) -> None:
    """Look at the file that `ring` was read from, for ever; a ring without one never changes. Seconds."""
    if not ring.file:
        return
    path = Path(ring.file)
    seen: Look | str | None = "as it was when the settings were read"
    while True:
        seen, news = await _patiently(path, _beside(partial(_look, path, seen)), hangs)
        if news is not None:
            take_over(ring, news)
        await asyncio.sleep(every)


def take_over(ring: Keyring, news: News) -> None:
    """Make `ring` what the file says, if it can be used."""
    if isinstance(news, SettingsError):
        log.error("the keys stay as they were: %s", news)
    elif (news.current, news.keys, news.retired) != (ring.current, ring.keys, ring.retired):
        ring.become(news)
        log.warning("the keys are now %s, %s signs", ", ".join(sorted(news.keys)), news.current)


def _look(path: Path, known: Look | str | None) -> tuple[Look | None, News | None]:
    """Which version of the file is there, and what it holds unless that version is known."""
    try:
        found = path.stat()
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
    except OSError:
        version = None
    if version == known:
        return version, None
    try:
        return version, keyring(Security(signing_key_file=path))
    except SettingsError as error:
        return version, error


async def _patiently(path: Path, look: "asyncio.Future[T]", hangs: float) -> T:
    """What becomes of a look, however long it takes."""
    await asyncio.wait({look}, timeout=hangs)
    if not look.done():
        log.error("%s cannot be looked at, its drive does not answer: the keys stay as they are until it does", path)
        await asyncio.wait({look})
        log.warning("%s can be looked at again", path)
    return look.result()


def _beside(work: Callable[[], T]) -> "asyncio.Future[T]":
    """Have something done by a thread of its own, for which nobody waits at the end of the process."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def done(settle: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop has ended meanwhile
            loop.call_soon_threadsafe(lambda: None if future.done() else settle())

    def run() -> None:
        try:
            found = work()
        except Exception as error:  # noqa: BLE001  told to whoever waits
            done(partial(future.set_exception, error))
        else:
            done(partial(future.set_result, found))

    Thread(target=run, name="signing key", daemon=True).start()
    return future
