"""What `up` is bringing up on this machine just now, by the files that it leaves, so that nobody calls it gone."""

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
    mark.touch()
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)


def starting(data: Path, now: datetime) -> frozenset[str]:
    """The services that are being started in `data` and have not said yet that they are ready.

    One that is not ready after START_PATIENCE_S does not come up any more; then its supervisor was killed.
    """
    began = _written(_mark(data))
    if began is None or (now - began).total_seconds() > START_PATIENCE_S:
        return frozenset()
    ready = {name: _written(data / "run" / f"{name}.ready") for name in SERVICES}
    return frozenset(name for name, at in ready.items() if at is None or at < began)


def _mark(data: Path) -> Path:
    return data / "run" / "starting"


def _written(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None
