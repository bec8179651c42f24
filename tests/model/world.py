"""The whole as one model: a trader and the source's journal, Redis and its failover, accounts with their lanes."""

from collections.abc import Iterator
from functools import cache

from tests.model import scripts, vendor
from tests.model.at import At
from tests.model.checker import Report, Step, explore, fault, progress
from tests.model.lanes import lane_steps
from tests.model.operator import operator_steps
from tests.model.reconcile import drifts
from tests.model.state import (
    FINAL,
    UNKNOWN,
    Account,
    Config,
    Group,
    Lane,
    Ledger,
    Link,
    Redis,
    Terminal,
    World,
    debt_item,
    put,
    try_item,
)
from tests.model.story import expected, identity, total, total_before


class Protocol:
    """The model of one configuration, for `checker.explore`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.links = 1 + max(fact.link for fact in config.story)

    def start(self) -> World:
        """Everything is up; the first executor of each account holds its lease, where an account was begun."""
        n, preloaded, begun = len(self.config.story), self.config.preloaded, self.config.begun
        ledger = Ledger(0, 0, (Link(),) * self.links, (None,) * self.links, (), ("",) * n, (0,) * n)
        ledger = ledger if begun else ledger._replace(server=UNKNOWN)
        holder = Lane("idle", lease=True, memory=ledger) if begun else Lane()
        empty = vendor.empty(n * (1 + self.config.replays))
        account = Account((holder, *(Lane() for _ in range(self.config.executors - 1))), empty)
        redis = Redis(tuple((0, i) for i in range(preloaded)), (Group(0, (), ledger),) * self.config.accounts)
        accounts, asks = (account,) * self.config.accounts, self.config.replays + self.config.may_resolve
        return World(preloaded, preloaded, redis, None, accounts, 0, self.config.faults, asks)

    def steps(self, state: World) -> Iterator[Step[World]]:
        """All that can happen next."""
        yield from self._source(state)
        yield from self._failover(state)
        for number in range(self.config.accounts):
            yield from self._terminal(state, number)
            yield from self._time(state, number)
            yield from operator_steps(self.config, state, number)
            for lane in range(self.config.executors):
                yield from lane_steps(At(self.config, state, number, lane))

    def _source(self, world: World) -> Iterator[Step[World]]:
        if world.captured < len(self.config.story):
            name = self.config.story[world.captured].name
            yield progress(f"the trader: «{name}», journaled", world._replace(captured=world.captured + 1))
        if world.believed < world.captured:
            answer, redis = scripts.publish(world)
            if answer == "gap":
                back = len(world.redis.stream) if self.config.rules.return_to_gap else world.believed + 1
                yield progress(f"the outbox is refused (gap) and goes to {back + 1}", world._replace(believed=back))
            else:
                after = world._replace(redis=redis, believed=world.believed + 1)
                yield progress(f"the outbox publishes fact {world.believed + 1}: {answer}", after)
        elif world.believed > len(world.redis.stream) and self.config.rules.return_to_gap:
            back = len(world.redis.stream)
            yield progress(f"the outbox sees that the server has {back} and returns", world._replace(believed=back))

    def _failover(self, world: World) -> Iterator[Step[World]]:
        if world.replica is None:
            if world.faults and "failover" in self.config.allowed:
                accounts = tuple(a._replace(lease_survives=True) for a in world.accounts)
                after = world._replace(replica=world.redis, accounts=accounts, faults=world.faults - 1)
                yield fault("the replica falls behind from here", after)
            return
        each = zip(world.accounts, world.redis.groups, world.replica.groups, strict=True)
        accounts = tuple(_after_failover(a, now, then) for a, now, then in each)
        after = world._replace(redis=world.replica, replica=None, accounts=accounts, server=world.server + 1)
        yield fault("the replica becomes the server", after)

    def _terminal(self, world: World, number: int) -> Iterator[Step[World]]:
        account = world.accounts[number]
        for call in account.terminal.left_behind:
            rest = vendor.without(account.terminal, call)
            done = vendor.execute(rest, call, self.config.story) or rest
            yield self._at(
                world, number, account._replace(terminal=done), "the terminal runs the request of a dead child"
            )
            if self.config.late_beyond_grace:
                yield self._at(
                    world, number, account._replace(terminal=rest), "the request of a dead child comes to nothing"
                )

    def _time(self, world: World, number: int) -> Iterator[Step[World]]:
        account = world.accounts[number]
        lanes = tuple(self._later(lane, account.terminal) for lane in account.lanes)
        left = account.terminal.left_behind if self.config.late_beyond_grace else ()
        if lanes != account.lanes or left != account.terminal.left_behind:
            after = account._replace(lanes=lanes, terminal=account.terminal._replace(left_behind=left))
            yield self._at(world, number, after, "time passes: not-after and the grace are over")
        if account.orphan_lease:
            yield self._at(world, number, account._replace(orphan_lease=False), "the lease of a dead executor lapses")
        if self.config.may_close_only and world.redis.groups[number].ledger.mode == "active":
            yield self._close_only(world, number)

    def _later(self, lane: Lane, terminal: Terminal) -> Lane:
        """The grace is over for what was not there: what the terminal shows is found by whoever looks for it."""
        if lane.phase == "fenced" and self.config.rules.not_after:
            lane = lane._replace(phase="expired")
        if lane.memory is None or not self.config.grace_ends:
            return lane
        debts = {debt_item(n) for n, debt in enumerate(lane.memory.debts) if debt is not None}
        tries = {try_item(mark) for mark in lane.tries if not terminal.opened[mark]}
        unripe = {*(e[1] for e in lane.memory.parks), *debts, *tries}.difference(lane.ripe)
        return lane._replace(ripe=tuple(sorted({*lane.ripe, *unripe}))) if unripe else lane

    def _close_only(self, world: World, number: int) -> Step[World]:
        group = world.redis.groups[number]
        ledger = group.ledger._replace(mode="close-only", version=group.ledger.version + 1)
        redis = world.redis._replace(groups=put(world.redis.groups, number, group._replace(ledger=ledger)))
        return progress("the operator sets close-only", world._replace(redis=redis))

    def _at(self, world: World, number: int, account: Account, name: str) -> Step[World]:
        where = f" (account {number})" if self.config.accounts > 1 else ""
        return progress(name + where, world._replace(accounts=put(world.accounts, number, account)))

    def broken(self, state: World) -> str | None:
        """What must never be so: see `_broken_account`."""
        for account, group in zip(state.accounts, state.redis.groups, strict=True):
            if (why := self._broken_account(account.terminal, group.ledger, state.captured)) is not None:
                return why
        return None

    def _broken_account(self, terminal: Terminal, ledger: Ledger, captured: int) -> str | None:
        if terminal.wrong:
            return terminal.wrong
        for i, ends in enumerate(ledger.ends):
            if ends > 1 + ledger.tried.count(i):
                return f"two final outcomes for «{self.config.story[i].name}»"
            if len(self._effects(terminal, i)) > 1:
                return f"two attempts at «{self.config.story[i].name}» had an effect"
        for i, opened in enumerate(terminal.opened):
            if opened and abs(terminal.volume[i]) < min(abs(opened), self._lowest(i, opened, captured)):
                return f"closed more than any total asked for: {terminal.volume[i]} left"
        return None

    def _lowest(self, opening: int, opened: int, captured: int) -> int:
        """The smallest total, on the opening's side, that the source has had on this link since."""
        opening %= len(self.config.story)
        link, side = self.config.story[opening].link, 1 if opened > 0 else -1
        totals = (total(f, self.config.act_on) * side for f in self.config.story[opening:captured] if f.link == link)
        return max(0, min(totals, default=0))

    def unfinished(self, state: World) -> str | None:
        """What is missing when nothing but faults can happen."""
        for account, group in zip(state.accounts, state.redis.groups, strict=True):
            spent = self.config.faults - state.faults
            if not self.config.grace_ends and (why := self._blocked(group.ledger, spent)) is not None:
                return why
            if (why := self._unfinished_account(account, group, state.captured)) is not None:
                return why
        return None

    def _unfinished_account(self, account: Account, group: Group, captured: int) -> str | None:
        ledger, story = group.ledger, self.config.story
        parked = {story[i].link for _, i in ledger.parks if self._grows(i)}
        waiting = frozenset() if self.config.grace_ends else frozenset(parked)
        for i in (identity(story, entry) for entry in range(captured)):
            if ledger.done[i] not in FINAL and story[i].link not in waiting:
                return f"silent: «{story[i].name}» has no final outcome"
            effects = self._effects(account.terminal, i)
            if (ledger.done[i] == "filled") != bool(effects) and story[i].link not in waiting:
                return f"untrue: «{story[i].name}» ended {ledger.done[i]}, opened {sum(effects)}"
        if ledger.asked:
            return f"silent: what was asked about «{story[ledger.asked[0].fact].name}» has no answer"
        return self._wrong_volume(account.terminal, ledger, waiting)

    def _effects(self, terminal: Terminal, fact: int) -> list[int]:
        """What each attempt at a fact has opened, where it has."""
        return [opened for opened in terminal.opened[fact :: len(self.config.story)] if opened]

    def _blocked(self, ledger: Ledger, unknown: int) -> str | None:
        """Each unknown opening may hold back the openings of one instrument, and nothing else."""
        held_back = {self.config.story[i].instrument for _, i in ledger.parks}
        return (
            f"openings of {len(held_back)} instruments wait for {unknown} unknown" if len(held_back) > unknown else None
        )

    def _grows(self, i: int) -> bool:
        now, before = (f(self.config.story[i], self.config.act_on) for f in (total, total_before))
        return abs(now) > abs(before) or now * before < 0

    def _wrong_volume(self, terminal: Terminal, ledger: Ledger, waiting: frozenset[int]) -> str | None:
        story = self.config.story
        late = {mark % len(story) for mark, v in enumerate(terminal.opened) if v and mark >= len(story)}
        ended = [ledger.done[identity(story, entry)] for entry in range(len(story))]
        should = expected(story, ended, self.config.act_on, late)
        for n in range(self.links):
            every = zip(terminal.volume, terminal.doubled, strict=True)
            has = sum(v + more for mark, (v, more) in enumerate(every) if story[mark % len(story)].link == n)
            if n not in waiting and (has != should[n] or has != ledger.links[n].own):
                return f"link {n}: the account holds {has}, should {should[n]}, the ledger says {ledger.links[n].own}"
        return None


class Reconciled(Protocol):
    """The same world, but a wrong end is accepted when the next reconciliation would say it."""

    def broken(self, state: World) -> str | None:
        """Nothing: what is wrong at the end counts."""
        return None

    def _unfinished_account(self, account: Account, group: Group, captured: int) -> str | None:
        why = super()._unfinished_account(account, group, captured)
        return None if why and drifts(self.config.story, account.terminal, group.ledger) else why


class Closing(Reconciled):
    """The same with `doubles = "close"`: what was opened once more is closed, as soon as its fact has its end."""

    def steps(self, state: World) -> Iterator[Step[World]]:
        """All that can happen next, and what a reconciliation does about a double."""
        yield from super().steps(state)
        for number, (account, group) in enumerate(zip(state.accounts, state.redis.groups, strict=True)):
            for mark, doubled in enumerate(account.terminal.doubled):
                fact = mark % len(self.config.story)
                owes = group.ledger.debts[self.config.story[fact].link] is not None
                if doubled and group.ledger.done[fact] in FINAL and not owes:
                    without = account.terminal._replace(doubled=put(account.terminal.doubled, mark, 0))
                    after = account._replace(terminal=without)
                    yield self._at(state, number, after, f"the second «{self.config.story[fact].name}» is closed")

    def _unfinished_account(self, account: Account, group: Group, captured: int) -> str | None:
        left = "a double stays open" if any(account.terminal.doubled) else None
        return left or super()._unfinished_account(account, group, captured)


def _unleased(account: Account) -> Account:
    lanes = tuple(lane._replace(lease=False) for lane in account.lanes)
    return account._replace(lanes=lanes, orphan_lease=False)


def _after_failover(account: Account, now: Group, then: Group) -> Account:
    """The openings whose refusal the server forgot may be asked for again, out of their order: a known limit."""
    kept = account if account.lease_survives else _unleased(account)
    forgotten = {i for i, result in enumerate(now.ledger.done) if result in FINAL and then.ledger.done[i] not in FINAL}
    excused = tuple(sorted(forgotten | set(kept.terminal.excused)))
    return kept._replace(lease_survives=True, terminal=kept.terminal._replace(excused=excused))


@cache
def proven(config: Config) -> Report:
    """Explore the configuration, once per run: several tests rest on the same one."""
    return explore(Protocol(config))
