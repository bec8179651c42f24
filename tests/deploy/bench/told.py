"""A benchmark whose lines can be read."""

from pathlib import Path
from typing import TypeVar

from deploy.bench.measurement import Measurement
from shared.process import Stop

B = TypeVar("B", bound=Measurement)  # type: ignore[type-arg]


def telling(kind: type[B], folder: Path, wish: object, stop: Stop | None = None) -> tuple[B, list[str]]:
    """A benchmark, and the lines that it says."""
    said: list[str] = []
    return kind(stop or Stop(), folder, wish, said.append, lambda _: None), said
