"""What the executor exports. Every series exists from the start, so that an alert can count on it.

`Metrics` holds what one process shows; a `Meter` (see `executor.meter`) counts for one account of it.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry

from executor.mt5.api import Retcode
from executor.reasons import Reason
from executor.reference import Compared
from executor.stages import STAGES
from executor.states import AccountState
from shared import metrics
from shared.metrics import counter, gauge, histogram
from shared.outcomes import Result

CONDITIONS = ("starting", "active", "standby", "away", "lost", "removed")
COMPARED: tuple[str, ...] = get_args(Compared)
RESULTS: tuple[str, ...] = get_args(Result)
STATES = ("unresolved", "owed")
OTHER = "other"
"""The label for what is not of the closed set."""
POINTS = (-100.0, -50.0, -20.0, -10.0, -5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
LIMITS = ("lots", "positions", "daily-loss", "drawdown")


class Metrics:
    """The metrics of the lanes of one process."""

    def __init__(self, registry: CollectorRegistry, accounts: Iterable[str]) -> None:
        self.registry = registry
        self._conditions = dict.fromkeys(accounts, "")
        self._settled = asyncio.Event()
        self.moved = asyncio.Event()
        of = ("account",)
        said = "1 for what a lane is: starting, active, standby, away, lost (no group), or removed (by a person)."
        self._lane = gauge(registry, "lane", said, (*of, "condition"))
        self._follows = gauge(registry, "follows", "1 for each source that an account follows.", (*of, "source"))
        self._takeovers = counter(registry, "lane_begun", "Times that a lane took its account over or anew.", of)
        self.outcomes = counter(registry, "outcomes", "Ends of facts, by result.", (*of, "result"))
        self.denials = counter(registry, "denials", "Openings and facts that we refused, by reason.", (*of, "reason"))
        self.retcodes = counter(registry, "retcodes", "Answers of MetaTrader 5, by retcode.", (*of, "retcode"))
        self.stages = metrics.stage_seconds(registry, of)
        self.slippage = histogram(
            registry, "slippage_points", "Points paid more than the price that was asked for.", of, POINTS
        )
        unpriced = "Openings for which the source told no price, by what theirs was compared with instead."
        self.unpriced = counter(registry, "openings_unpriced", unpriced, (*of, "reference"))
        self.last_success = gauge(
            registry, "last_success_timestamp_seconds", "When a fact last took effect on the account.", of
        )
        self.breaches = counter(registry, "guard_breaches", "Times that a limit on losses was passed.", (*of, "limit"))
        self.trailing = counter(registry, "trailing_updates", "Levels that trailing stops have moved.", of)
        self.redeliveries = counter(registry, "redeliveries", "Entries that were delivered once more.", of)
        self.buried = counter(registry, "dead_letters_made", "Entries that a lane gave up.", of)
        self.seconds = counter(registry, "metering_seconds", "Time that counting took on the lane's way.", of)
        self._now(registry, of)
        for account in self._conditions:
            self._children(account)
            self.lane(account, "starting")

    def _now(self, registry: CollectorRegistry, of: tuple[str, ...]) -> None:
        """What is asked for when somebody looks."""
        unfinished = (*of, "state")
        self.unfinished = gauge(registry, "unfinished_facts", "Facts whose end is not known, or owed.", unfinished)
        self.unfinished_age = gauge(
            registry, "unfinished_oldest_seconds", "Age of the oldest unfinished fact; 0 without any.", unfinished
        )
        self.equity = gauge(registry, "account_equity", "Equity, in the account's currency.", of)
        self.balance = gauge(registry, "account_balance", "Balance, in the account's currency.", of)
        self.margin_free = gauge(registry, "account_margin_free", "Free margin, in the account's currency.", of)
        self.positions = gauge(registry, "account_positions", "Positions that the account holds, ours or not.", of)
        self.lots = gauge(registry, "account_lots", "Lots that are open, both sides added.", of)
        self.used = gauge(registry, "limit_used_ratio", "How much of a limit is used; 1 is the limit.", (*of, "limit"))
        self.drift = gauge(registry, "drift_positions", "Positions on which account and source disagree.", of)
        self.drift_age = gauge(registry, "drift_oldest_seconds", "Since when the oldest of them does; 0: none.", of)
        self.connected = gauge(registry, "terminal_connected", "Whether the terminal is linked to its broker.", of)
        self.algo = gauge(registry, "terminal_algo_trading", "Whether trading by program is switched on.", of)
        self.ping = gauge(registry, "terminal_ping_seconds", "The terminal's last ping to its broker.", of)
        self.state = gauge(registry, "trading_state", "1 for the account's state.", unfinished)

    def _children(self, account: str) -> None:
        for result in RESULTS:
            self.outcomes.labels(account, result)
        for reason in (*Reason, OTHER):
            self.denials.labels(account, str(reason))
        for code in Retcode:
            self.retcodes.labels(account, str(code.value))
        self.retcodes.labels(account, OTHER)
        for stage in STAGES:
            self.stages.labels(stage, account)
        for state in AccountState:
            self.state.labels(account, str(state)).set(0)
        for reference in COMPARED:
            self.unpriced.labels(account, reference)
        for limit in ("daily-loss", "drawdown"):
            self.breaches.labels(account, limit)
        for one in (self._takeovers, self.trailing, self.redeliveries, self.buried, self.seconds):
            one.labels(account)
        self.slippage.labels(account)
        self.last_success.labels(account)

    def follows(self, account: str, sources: Iterable[str]) -> None:
        """Note whom an account follows."""
        for source in sources:
            self._follows.labels(account, source).set(1)

    def lane(self, account: str, condition: str) -> None:
        """Note what a lane is now; `moved` is set when that is new."""
        if condition != self._conditions[account]:
            self.moved.set()
        self._conditions[account] = condition
        for name in CONDITIONS:
            self._lane.labels(account, name).set(float(name == condition))
        if condition == "active":
            self._takeovers.labels(account).inc()
        if not {"", "starting", "away"} & {*self._conditions.values()}:
            self._settled.set()

    def condition(self, account: str) -> str:
        """What the lane of an account is now."""
        return self._conditions[account]

    async def all_settled(self) -> None:
        """Return when every lane has been active or on standby at the same time; a lost one waits for a person."""
        await self._settled.wait()

    def complaints(self) -> Sequence[str]:
        """What is wrong now, one line per account."""
        ill = ("starting", "away", "lost")
        return [f"account {name} is {is_}" for name, is_ in self._conditions.items() if is_ in ill]
