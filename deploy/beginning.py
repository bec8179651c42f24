"""What `up` is bringing up on this machine just now, by the files that it leaves, so that nobody calls it gone.

The mark that something is being started is locked while that lasts, and a lock ends with its process: what a supervisor
leaves that was killed says nothing. Where files have no such locks it is believed for START_PATIENCE_S.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from deploy.worker import START_PATIENCE_S

SERVICES = ("ingest", "executor", "archiver")


@contextmanager
def begun(data: Path) -> Iterator[None]:
    """While this lasts, everything in `data` is being started."""
    mark = _mark(data)
    mark.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.utime(mark)
        _hold(descriptor)
        yield
    finally:
        mark.unlink(missing_ok=True)
        os.close(descriptor)


def starting(data: Path, now: datetime) -> frozenset[str]:
    """The services that are being started in `data` and have not said yet that they are ready.

    One that is not ready after START_PATIENCE_S does not come up any more.
    """
    began = _written(_mark(data))
    if began is None or (now - began).total_seconds() > START_PATIENCE_S or not _is_held(_mark(data)):
        return frozenset()
    ready = {name: _written(data / "run" / f"{name}.ready") for name in SERVICES}
    return frozenset(name for name, at in ready.items() if at is None or at < began)


def _mark(data: Path) -> Path:
    return data / "run" / "starting"


def _hold(descriptor: int) -> None:
    """Lock the mark. Whoever looks whether it is locked has it for a moment, so it is waited for."""
    if sys.platform != "win32":
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_held(mark: Path) -> bool:
    """Whether whoever left it still runs, as far as can be seen."""
    if sys.platform == "win32":
        return True
    import fcntl

    try:
        descriptor = os.open(mark, os.O_RDONLY)
    except OSError:
        return mark.exists()  # gone by now, or not ours to look at
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
