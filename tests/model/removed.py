"""Entries vanish from the stream, read or not, and a restore puts back from the archive what has no end.

What is put back comes behind everything that is there. The archive knows how facts have ended, and what the account
had passed when it last told the whole; what it found missing since, and before, it has to have said.
"""

from collections.abc import Iterator

from tests.model.checker import Step, fault, progress
from tests.model.state import FINAL, OWED, Account, Config, Entry, Group, Redis, World, put
from tests.model.world import Protocol, _unleased


class Removed(Protocol):
    """The same world, in which entries are removed and an operator restores; later, or never, he lets it open again."""

    def __init__(self, config: Config, *, puts_back: bool = True) -> None:
        super().__init__(config._replace(rules=config.rules._replace(taking_writes=True)))
        self.puts_back = puts_back

    def steps(self, state: World) -> Iterator[Step[World]]:
        """All that can happen next."""
        yield from super().steps(state)
        yield from self._removal(state)
        yield from self._resume(state)
        if state.redis.gone:
            yield self._restore(state)

    def _removal(self, world: World) -> Iterator[Step[World]]:
        if not world.faults or "remove" not in self.config.allowed:
            return
        for fact in range(len(world.redis.stream)):
            if fact not in world.redis.gone:
                redis = world.redis._replace(gone=tuple(sorted((*world.redis.gone, fact))))
                name = f"«{self.config.story[fact].name}» is removed from the stream"
                yield fault(name, world._replace(redis=redis, faults=world.faults - 1))

    def _resume(self, world: World) -> Iterator[Step[World]]:
        for number, group in enumerate(world.redis.groups):
            if group.ledger.mode == "close-only" and not world.redis.gone:
                ledger = group.ledger._replace(mode="active", version=group.ledger.version + 1)
                redis = world.redis._replace(groups=put(world.redis.groups, number, group._replace(ledger=ledger)))
                yield fault("the operator resumes", world._replace(redis=redis))

    def _restore(self, world: World) -> Step[World]:
        redis, after = world.redis, world.server + 1
        back = redis.gone if self.puts_back else ()
        stream = tuple((after, fact) if fact in back else entry for fact, entry in enumerate(redis.stream))
        groups = tuple(self._group(world, group, stream) for group in redis.groups)
        accounts = tuple(_unleased(self._excused(account, back)) for account in world.accounts)
        restored = Redis(stream, groups)
        name = "what was removed is restored from the archive"
        return progress(name, world._replace(redis=restored, accounts=accounts, server=after))

    def _group(self, world: World, group: Group, stream: tuple[Entry, ...]) -> Group:
        ledger = group.ledger
        unended = {fact for _, fact in ledger.parks}
        lacking = unended | set(ledger.missing) | set(range(ledger.base, len(stream)))
        there = stream if self.puts_back else tuple(e for e in stream if e[1] not in world.redis.gone)
        wanted = [e for e in there if e[1] in lacking and ledger.done[e[1]] not in (*FINAL, OWED)]
        back = ledger._replace(
            version=ledger.version + 1,
            place=len(stream),
            parks=(),
            missing=tuple(fact for _, fact in sorted(wanted)) if self.config.rules.removal_remembered else (),
            server=world.server + 1,
            suspect=world.captured,
            mode="close-only",
        )
        return Group(len(stream), tuple(sorted(wanted)), back)

    @staticmethod
    def _excused(account: Account, back: tuple[int, ...]) -> Account:
        """What is put back is opened after what was there, if an operator lets it: a known limit."""
        excused = tuple(sorted({*account.terminal.excused, *back}))
        return account._replace(terminal=account.terminal._replace(excused=excused))
