"""What the executor exports, and when its lanes have settled."""

import asyncio
from collections.abc import Iterable, Sequence

from prometheus_client import CollectorRegistry

from shared import metrics

CONDITIONS = ("active", "standby", "away")


class Metrics:
    """The metrics of the lanes of one process. Every series exists from the start, so that an alert can count on it."""

    def __init__(self, registry: CollectorRegistry, accounts: Iterable[str]) -> None:
        self._conditions = dict.fromkeys(accounts, "away")
        self._settled = asyncio.Event()
        self._lane = metrics.gauge(
            registry, "lane", "1 for what a lane is: active, standby or away.", ("account", "condition")
        )
        for account in self._conditions:
            self.lane(account, "away")

    def lane(self, account: str, condition: str) -> None:
        """Note what a lane is now."""
        self._conditions[account] = condition
        for name in CONDITIONS:
            self._lane.labels(account, name).set(float(name == condition))
        if "away" not in self._conditions.values():
            self._settled.set()

    async def all_settled(self) -> None:
        """Return when every lane has been active or on standby at the same time."""
        await self._settled.wait()

    def complaints(self) -> Sequence[str]:
        """What is wrong now, one line per account."""
        return [f"account {name} is away" for name, is_ in self._conditions.items() if is_ == "away"]
