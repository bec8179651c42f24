"""Redis loses everything and is rebuilt from an archive that may have fallen behind: a model of `tradecopier restore`.

The archive is a state that Redis had before, like the replica of a failover. But the facts are all there again, put
back by the restore or published again by the outbox, while the account's memory is the archived one: what it had not
passed, and what had no end then, is delivered again as maybe sent.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import Step, fault
from tests.model.state import FINAL, OWED, Config, Entry, Group, Redis, World
from tests.model.world import Protocol, _after_failover, _unleased


class Restoring(NamedTuple):
    """What a restore has to do. Every field can be turned over, to see that it is needed."""

    suspects: bool = True
    delivers_unread: bool = True
    delivers_unended: bool = True
    remembers_ends: bool = True


WHOLE = Restoring()


class Restored(Protocol):
    """The same world, in which Redis is emptied and restored in place of failing over."""

    def __init__(self, config: Config, restoring: Restoring = WHOLE) -> None:
        super().__init__(config)
        self.restoring = restoring

    def _failover(self, world: World) -> Iterator[Step[World]]:
        if world.replica is None:
            if world.faults and "flush" in self.config.allowed:
                accounts = tuple(a._replace(lease_survives=True) for a in world.accounts)
                after = world._replace(replica=world.redis, accounts=accounts, faults=world.faults - 1)
                yield fault("the archive falls behind from here", after)
            return
        stream = tuple((world.server + 1, i) for i in range(len(world.replica.stream)))
        pairs = list(zip(world.redis.groups, world.replica.groups, strict=True))
        groups = tuple(self._group(world, now, then, stream) for now, then in pairs)
        each = zip(world.accounts, pairs, groups, strict=True)
        accounts = tuple(_unleased(_after_failover(a, now, back)) for a, (now, _), back in each)
        redis = Redis(stream, groups)
        after = world._replace(redis=redis, replica=None, accounts=accounts, server=world.server + 1)
        yield fault("Redis is emptied, and restored from the archive", after)

    def _group(self, world: World, now: Group, then: Group, stream: tuple[Entry, ...]) -> Group:
        rules, ledger = self.restoring, then.ledger
        done = ledger.done if rules.remembers_ends else tuple("" for _ in ledger.done)
        place = len(stream) if rules.suspects else ledger.place
        back = ledger._replace(
            version=max(now.ledger.version, ledger.version) + 1,
            place=place,
            parks=(),
            done=done,
            server=world.server + 1,
            suspect=world.captured if rules.suspects else 0,
            asked=(),
        )
        wanted = tuple(e for e in stream[:place] if self._wants(e[1], ledger.place, done[e[1]]))
        return Group(place, wanted, back)

    def _wants(self, fact: int, place: int, done: str) -> bool:
        if done in FINAL or done == OWED:
            return False
        return self.restoring.delivers_unread if fact >= place else self.restoring.delivers_unended
