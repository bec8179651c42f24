"""A thief with the Redis password of the account's executor and without the signing key.

He keeps a copy of all that Redis remembers of the account (`old`; `first`: of the beginning) and puts it back, whole,
at any later moment: what of it is sealed cannot be changed or mixed, what is not (ends, mode, version) is as he wants
it. He claims any entry of the stream for the account, read or not, acknowledges any, makes up ends and takes them
away (`forge`), and sets the mode. He can neither sign nor have entries delivered anew; for that he needs the operator's
password (`rewind`).
"""

from collections.abc import Iterator

from tests.model.checker import Step, fault
from tests.model.state import FINAL, Config, Group, Ledger, World, put
from tests.model.story import total, total_before
from tests.model.world import Protocol


class Stolen(Protocol):
    """The same world with the thief in it. Nothing may be opened twice; what he stops or makes untrue is no matter."""

    def __init__(self, config: Config) -> None:
        super().__init__(config._replace(wary=True))

    def start(self) -> World:
        """As in the other models; the copy of the beginning is kept."""
        world = super().start()
        return world._replace(replica=world.redis) if "first" in self.config.allowed else world

    def steps(self, state: World) -> Iterator[Step[World]]:
        """All that can happen next."""
        yield from super().steps(state)
        if state.replica is None and state.faults and "old" in self.config.allowed:
            yield fault("the thief keeps a copy", state._replace(replica=state.redis))
        for number, group in enumerate(state.redis.groups):
            for name, costs, after in self._thief(state, group, number):
                redis = state.redis._replace(groups=put(state.redis.groups, number, after))
                yield fault(f"the thief {name}", state._replace(redis=redis, faults=state.faults - costs))
        yield from self._archiver(state)
        yield from self._operator(state)

    def _failover(self, world: World) -> Iterator[Step[World]]:
        return iter(())

    def _thief(self, world: World, group: Group, number: int) -> Iterator[tuple[str, int, Group]]:
        ledger = group.ledger
        if ledger.mode != "active":
            yield "sets it active", 0, group._replace(ledger=ledger._replace(mode="active"))
        if not world.faults:
            return
        if world.replica is not None:
            yield from self._put_back(group, world.replica.groups[number].ledger)
        kinds = {"claim": self._claim, "acknowledge": self._acknowledge, "forge": self._forge, "rewind": self._rewind}
        for kind, made in kinds.items():
            if kind in self.config.allowed:
                yield from ((name, 1, after) for name, after in made(world, group))

    def _claim(self, world: World, group: Group) -> Iterator[tuple[str, Group]]:
        for entry in world.redis.stream:
            if entry not in group.pending and entry[1] not in world.redis.gone:
                pending = tuple(sorted((*group.pending, entry)))
                yield f"claims «{self._name(entry[1])}» for the account", group._replace(pending=pending)

    def _acknowledge(self, _world: World, group: Group) -> Iterator[tuple[str, Group]]:
        for entry in group.pending:
            rest = tuple(other for other in group.pending if other != entry)
            yield f"acknowledges «{self._name(entry[1])}»", group._replace(pending=rest)

    def _forge(self, world: World, group: Group) -> Iterator[tuple[str, Group]]:
        ledger = group.ledger
        for i in range(world.captured):
            done = put(ledger.done, i, "" if ledger.done[i] else "denied")
            what = "takes away the end of" if ledger.done[i] else "makes up an end of"
            yield f"{what} «{self._name(i)}»", group._replace(ledger=ledger._replace(done=done))

    def _rewind(self, _world: World, group: Group) -> Iterator[tuple[str, Group]]:
        for delivered in range(group.delivered):
            yield f"has the group read on after {delivered}", group._replace(delivered=delivered)

    def _name(self, fact: int) -> str:
        return self.config.story[fact].name

    def _put_back(self, group: Group, old: Ledger) -> Iterator[tuple[str, int, Group]]:
        now = group.ledger
        for done, words in ((now.done, "and leaves the ends"), (old.done, "with the ends")):
            for version, more in ((now.version, "unseen"), (now.version + 1, "seen")):
                kept = old._replace(version=version, done=done, ends=now.ends, mode="active", sound=old.sound)
                if not self.config.rules.remembers_parks:
                    kept = kept._replace(parks=tuple(e for e in old.parks if e in group.pending))
                yield f"puts his copy back {words}, {more}", 1, group._replace(ledger=kept)

    def _archiver(self, world: World) -> Iterator[Step[World]]:
        """What everybody has passed leaves the stream."""
        if "trim" not in self.config.allowed:
            return
        (group,) = world.redis.groups
        first = len(world.redis.gone)
        passed = min((fact for _, fact in group.pending), default=group.delivered)
        if first < passed and group.ledger.done[first] in FINAL:
            redis = world.redis._replace(gone=(*world.redis.gone, first))
            yield fault(f"«{self.config.story[first].name}» is trimmed", world._replace(redis=redis))

    def _operator(self, world: World) -> Iterator[Step[World]]:
        (group, *_) = world.redis.groups
        if group.ledger.stopped and "resume" in self.config.allowed:
            ledger = group.ledger._replace(stopped=False, mode="active", version=group.ledger.version + 1)
            redis = world.redis._replace(groups=put(world.redis.groups, 0, group._replace(ledger=ledger)))
            yield fault("the operator resumes", world._replace(redis=redis))

    def broken(self, state: World) -> str | None:
        """Whether more was opened than the source has ever asked for, or anything twice."""
        for account in state.accounts:
            for mark, doubled in enumerate(account.terminal.doubled):
                if doubled:
                    return f"two deals for one opening: {self.config.story[mark % len(self.config.story)].name}"
            for n in range(self.links):
                opened = self._opened(account.terminal.opened, n)
                asked = self._asked(state.captured, n)
                if opened > asked:
                    return f"link {n}: {opened} were opened, {asked} asked for"
        return None

    def _opened(self, opened: tuple[int, ...], link: int) -> int:
        story = self.config.story
        return sum(abs(v) for mark, v in enumerate(opened) if story[mark % len(story)].link == link)

    def _asked(self, captured: int, link: int) -> int:
        asked = 0
        for fact in self.config.story[:captured]:
            now, before = total(fact, self.config.act_on), total_before(fact, self.config.act_on)
            if fact.link == link:
                asked += abs(now) if now * before < 0 else max(0, abs(now) - abs(before))
        return asked

    def unfinished(self, state: World) -> str | None:
        """Nothing counts: he can stop an account."""
        return None
