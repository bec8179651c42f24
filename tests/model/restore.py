"""Redis loses everything and is rebuilt from an archive that may have fallen behind: a model of `tradecopier restore`.

The archive is a state that Redis had before, like the replica of a failover. But the facts are all there again, put
back by the restore or published again by the outbox, while the account's memory is the archived one: what it had not
passed, and what had no end then, is delivered again as maybe sent. After a failover it also has ends that the server
has forgotten since, and not what they gave.
"""

from collections.abc import Iterator
from typing import NamedTuple

from tests.model.checker import Step, fault
from tests.model.state import FINAL, OWED, UNKNOWN, Config, Entry, Group, Ledger, Redis, World
from tests.model.world import Protocol, _after_failover, _unleased


class Restoring(NamedTuple):
    """What a restore has to do. Every field can be turned over, to see that it is needed."""

    suspects: bool = True
    delivers_unread: bool = True
    delivers_unended: bool = True
    remembers_ends: bool = True
    drops_unpassed_ends: bool = True
    wholes_tell_parks: bool = True


WHOLE = Restoring()


class Restored(Protocol):
    """The same world, in which Redis is emptied and restored in place of failing over."""

    def __init__(self, config: Config, restoring: Restoring = WHOLE) -> None:
        super().__init__(config)
        self.restoring = restoring

    def _failover(self, world: World) -> Iterator[Step[World]]:
        yield from self._flush(world)

    def _flush(self, world: World) -> Iterator[Step[World]]:
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
        done = self._done(ledger) if rules.remembers_ends else tuple("" for _ in ledger.done)
        place = len(stream) if rules.suspects else ledger.place
        back = ledger._replace(
            version=max(now.ledger.version, ledger.version) + 1,
            place=place,
            parks=(),
            done=done,
            server=world.server + 1,
            suspect=world.captured if rules.suspects else 0,
            asked=(),
            forgotten=(),
        )
        wanted = tuple(e for e in stream[:place] if self._wants(e[1], ledger.place, done[e[1]]))
        return Group(place, wanted, back)

    def _done(self, ledger: Ledger) -> tuple[str, ...]:
        """The ends that count: of those that the server had forgotten the ones of facts that it had passed and ended
        when it told the whole since.
        """
        forgotten = ledger.forgotten or ("",) * len(ledger.done)
        return tuple(
            now or (then if self._counts(i, ledger) else "")
            for i, (now, then) in enumerate(zip(ledger.done, forgotten, strict=True))
        )

    def _counts(self, fact: int, ledger: Ledger) -> bool:
        if self.restoring.wholes_tell_parks and any(i == fact for _, i in ledger.parks):
            return False
        return fact < ledger.base or not self.restoring.drops_unpassed_ends

    def _wants(self, fact: int, place: int, done: str) -> bool:
        if done in FINAL or done == OWED:
            return False
        return self.restoring.delivers_unread if fact >= place else self.restoring.delivers_unended


class RestoredAfterFailover(Restored):
    """The same, after the server has failed over once to one that had lost writes, and an executor has begun there."""

    def __init__(self, config: Config, restoring: Restoring = WHOLE) -> None:
        super().__init__(config._replace(rules=config.rules._replace(taking_writes=True)), restoring)

    def _failover(self, world: World) -> Iterator[Step[World]]:
        if world.server == 0:
            for step in Protocol._failover(self, world):
                yield step._replace(state=_forgetting(world, step.state)) if world.replica is not None else step
        elif all(group.ledger.base != UNKNOWN for group in (world.replica or world.redis).groups):
            yield from self._flush(world)


def _forgetting(before: World, after: World) -> World:
    """Every end that was told is in the archive. Nobody has told the whole of what the new server remembers yet."""
    each = zip(before.redis.groups, after.redis.groups, strict=True)
    groups = tuple(_without(now.ledger.done, then) for now, then in each)
    return after._replace(redis=after.redis._replace(groups=groups))


def _without(told: tuple[str, ...], group: Group) -> Group:
    lost = tuple("" if kept in FINAL else end for end, kept in zip(told, group.ledger.done, strict=True))
    return group._replace(ledger=group.ledger._replace(base=UNKNOWN, forgotten=lost if any(lost) else ()))
