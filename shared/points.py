"""Named points of a protocol, at which a fault suite can end or pause a process; in service nothing happens there."""

import os
from collections.abc import Callable, Collection
from signal import Signals

Reach = Callable[[str], None]


def parse(text: str, points: Collection[str]) -> tuple[str, int]:
    """`POINT` or `POINT:N`, the Nth time it is reached. Raises ValueError that names the points."""
    name, _, nth = text.partition(":")
    if name not in points or (nth and not nth.isdigit()):
        raise ValueError(f"{text!r} is no point; the points are {', '.join(points)}, each with :N for the Nth time")
    return name, int(nth or 1)


def signalling(point: str, nth: int, number: Signals) -> Reach:
    """A hook that signals this very process, once, when `point` is reached for the `nth` time."""
    left = nth

    def reach(name: str) -> None:
        nonlocal left
        if name == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), number)

    return reach
