"""What every benchmark in a folder of its own shares: set up, measured unless it is stopped, and cleared away."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Generic, TypeVar

from deploy.local import unless_stopped
from shared.process import Stop

W = TypeVar("W")
R = TypeVar("R")


class Measurement(ABC, Generic[W, R]):
    """One measurement. `say` prints a line, `progress` shows for a moment where it stands."""

    def __init__(
        self, stop: Stop, folder: Path, wish: W, say: Callable[[str], None], progress: Callable[[str], None]
    ) -> None:
        self._stop = stop
        self._folder = folder
        self._wish = wish
        self._say = say
        self._progress = progress
        self._prepare()

    async def measure(self) -> R | None:
        """Everything from start to stop; None when it was stopped. Raises UserError when it could not measure."""
        report: R | None = None

        async def act() -> None:
            nonlocal report
            report = await self._measured(stack)

        # A stop cancels the measuring and never the clearing away, which is why that is out here.
        async with AsyncExitStack() as stack:
            await unless_stopped(self._stop, act())
        return report

    def _prepare(self) -> None:
        """Make what it works with; nothing runs yet."""

    @abstractmethod
    async def _measured(self, stack: AsyncExitStack) -> R:
        """Set up and measure; `stack` clears away."""

    def _tell(self, conditions: Mapping[str, str]) -> None:
        """Say under what conditions it is measured."""
        for name, text in conditions.items():
            self._say(f"{name:<9} {text}")
