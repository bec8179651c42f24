"""Where a step of a lane takes place, and the world after it."""

from typing import NamedTuple

from tests.model.checker import Step
from tests.model.state import Config, Group, Lane, Ledger, World, put

STANDBY = Lane()


class At(NamedTuple):
    """Where a step takes place: the world, and which lane of which account."""

    config: Config
    world: World
    account: int
    number: int

    @property
    def lane(self) -> Lane:
        """The lane itself."""
        return self.world.accounts[self.account].lanes[self.number]

    @property
    def group(self) -> Group:
        """The account's group and ledger as Redis has them."""
        return self.world.redis.groups[self.account]

    @property
    def memory(self) -> Ledger:
        """What the lane believes; only for lanes that have begun."""
        memory = self.lane.memory
        assert memory is not None
        return memory

    def step(
        self, name: str, lane: Lane, *, fault: bool = False, group: Group | None = None, **changes: object
    ) -> Step[World]:
        """The step to the world where this lane is `lane` and the account's fields have `changes`."""
        world, account = self.world, self.world.accounts[self.account]
        account = account._replace(lanes=put(account.lanes, self.number, lane), **changes)  # type: ignore[arg-type]
        redis = world.redis
        if group is not None:
            redis = redis._replace(groups=put(redis.groups, self.account, group))
        after = world._replace(
            redis=redis, accounts=put(world.accounts, self.account, account), faults=world.faults - fault
        )
        where = f" of account {self.account}" if self.config.accounts > 1 else ""
        return Step(f"executor {'AB'[self.number]}{where} {name}", fault, after)

    def may(self, fault: str) -> bool:
        """Whether the fault is part of the configuration and the budget allows one more."""
        return self.world.faults > 0 and fault in self.config.allowed

    def with_lane(self, lane: Lane) -> World:
        """The world in which this lane is `lane`, for the steps that follow at once."""
        account = self.world.accounts[self.account]
        account = account._replace(lanes=put(account.lanes, self.number, lane))
        return self.world._replace(accounts=put(self.world.accounts, self.account, account))
