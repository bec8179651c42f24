"""What a process of a bench costs, as Linux tells it: memory that is its own share, and processor time."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

KIB = 1024


class Cost(Struct, frozen=True, kw_only=True):
    """Bytes and seconds of some processes together. `pss` counts a shared page by the share of it, `rss` whole."""

    pss: int = 0
    rss: int = 0
    cpu: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(pss=self.pss + other.pss, rss=self.rss + other.rss, cpu=self.cpu + other.cpu)


def cost(pid: int) -> Cost:
    """What a running process costs. Raises OSError when it is gone or another user's."""
    place = Path("/proc") / str(pid)
    sizes = dict(line.split(":", 1) for line in (place / "smaps_rollup").read_text().splitlines()[1:])
    ran = [int((task / "schedstat").read_text().split(maxsplit=1)[0]) for task in (place / "task").iterdir()]
    return Cost(pss=_bytes(sizes["Pss"]), rss=_bytes(sizes["Rss"]), cpu=sum(ran) / 1e9)


def together(pids: Iterable[int]) -> Cost:
    """The sum over processes."""
    return sum((cost(pid) for pid in pids), Cost())


def children(pid: int) -> list[int]:
    """The process ids of a process's children, whichever thread started them; none of one that is gone."""
    found: list[int] = []
    with suppress(FileNotFoundError):
        for task in (Path("/proc") / str(pid) / "task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread may end while it is looked at
                found += map(int, (task / "children").read_text().split())
    return found


def _bytes(told: str) -> int:
    return int(told.split(maxsplit=1)[0]) * KIB
