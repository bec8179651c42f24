"""The scripts on the server: publish, acquire, fence and commit (a park is a commit without an end).

Each is atomic and checks everything before it writes anything. These are the signatures that the code has to have.
"""

from typing import NamedTuple

from tests.model.state import FINAL, OWED, UNKNOWN, Config, Debt, Entry, Group, Lane, Ledger, Link, Redis, World, put


class Change(NamedTuple):
    """What a commit writes: ends (fact, result), links and debts by number, a park made or ended, the place passed, and
    what was asked for (`answers`), which goes with it. `lost` is a parked fact whose entry is gone."""

    ends: tuple[tuple[int, str], ...] = ()
    links: tuple[tuple[int, Link], ...] = ()
    debts: tuple[tuple[int, Debt | None], ...] = ()
    park: Entry | None = None
    ack: Entry | None = None
    passed: Entry | None = None
    answers: tuple[int, int] | None = None
    lost: int | None = None


def publish(world: World) -> tuple[str, Redis]:
    """Add the fact after those the source holds for published. Answers `ok`, `duplicate` or `gap`."""
    last = len(world.redis.stream)
    if world.believed < last:
        return "duplicate", world.redis
    if world.believed > last:
        return "gap", world.redis
    return "ok", world.redis._replace(stream=(*world.redis.stream, (world.server, last)))


def acquire(config: Config, world: World, account: int, known: int) -> Group:
    """What a lane finds once it has the lease: with a server it does not know, all that was captured is suspect.

    One that does not know the account is new to it, unless it has succeeded another: that one may have known it.
    `known` is the version that the lane had before; to spare it when the server still has that one is a mistake.
    """
    group = world.redis.groups[account]
    if config.wary:
        group = _taken_back(config, world, group)
    if config.rules.taking_writes:
        told = group.ledger._replace(version=group.ledger.version + 1, base=group.ledger.place)
        group = group._replace(ledger=told)
    ledger = group.ledger
    if ledger.server == world.server or not config.rules.notice_new_server:
        return group
    spared = known == ledger.version and not config.rules.suspect_even_if_the_version_agrees
    succeeded = world.server > 0 and config.rules.successor_is_suspect
    lost_writes = ledger.server != UNKNOWN or succeeded
    suspect = world.captured if lost_writes and not spared else ledger.suspect
    noticed = ledger._replace(server=world.server, suspect=suspect, version=ledger.version + 1)
    return group._replace(ledger=noticed)


def _taken_back(config: Config, world: World, group: Group) -> Group:
    """What the memory says has no end is pending, and has none, whoever has acknowledged it or made up an end."""
    rules, ledger, redis = config.rules, group.ledger, world.redis
    unended = {*redis.stream[ledger.place : group.delivered]} if rules.takes_back else set()
    unended |= {*ledger.parks} if rules.remembers_parks else set()
    lacking = {entry for entry in unended if entry[1] not in redis.gone}.difference(group.pending)
    if lacking:
        group = group._replace(pending=tuple(sorted({*group.pending, *lacking})))
    vanished = any(fact in redis.gone for fact in range(ledger.place, group.delivered))
    if vanished or (rules.remembers_parks and any(fact in redis.gone for _, fact in ledger.parks)):
        left = tuple(entry for entry in ledger.parks if entry[1] not in redis.gone)
        ledger = ledger._replace(parks=left, version=ledger.version + 1)
        ledger = ledger._replace(mode="close-only", stopped=rules.stop_is_sealed)
        group = group._replace(ledger=ledger)
    made_up = [i for _, i in (*group.pending, *redis.stream[ledger.place :]) if ledger.done[i]]
    if rules.ends_by_memory and made_up:
        kept = {entry for entry in group.pending if entry[1] < ledger.place and entry not in ledger.parks}
        done = tuple("" if i in made_up and i not in {k for _, k in kept} else r for i, r in enumerate(ledger.done))
        group = group._replace(ledger=ledger._replace(done=done))
    debts = tuple(_relieved(debt, group.ledger) for debt in group.ledger.debts)
    return group._replace(ledger=group.ledger._replace(debts=debts))


def _relieved(debt: Debt | None, ledger: Ledger) -> Debt | None:
    """What has ended does not end again when the debt is paid."""
    over = debt is not None and debt.newest is not None and ledger.done[debt.newest] in FINAL
    return debt._replace(newest=None) if debt is not None and over else debt


def fence(config: Config, ledger: Ledger, lane: Lane, opening: bool, fact: int | None) -> str:
    """Whether the call may be made now: `ok`, `lease`, `moved`, `state` or `done`. Writes nothing."""
    assert lane.memory is not None
    if config.rules.fence_checks_lease and not lane.lease:
        return "lease"
    if config.rules.version and lane.memory.version != ledger.version:
        return "moved"
    if fact is not None and ledger.done[fact] in FINAL:
        return "done"
    return "state" if opening and (ledger.mode == "close-only" or lane.memory.stopped) else "ok"


def commit(config: Config, group: Group, lane: Lane, change: Change) -> tuple[str, Group]:
    """Write all of the change, or nothing. Answers `ok`, `lease`, `moved` or `done`.

    What has ended before is left as it is: the lane begins anew, finds the entry pending, and ends it by its outcome.
    """
    assert lane.memory is not None
    rules, ledger = config.rules, group.ledger
    if rules.commit_checks_lease and not lane.lease:
        return "lease", group
    again = change.answers is not None and change.ack is None
    if rules.commit_checks_end and not again and any(ledger.done[fact] in FINAL for fact, _ in change.ends):
        return "done", group if rules.done_writes_nothing else _acknowledge(group, change)
    if rules.version and lane.memory.version != ledger.version:
        return "moved", group
    touched = change.park or change.ack
    if rules.commit_checks_pending and touched is not None and touched not in group.pending:
        return "moved", group
    if change.answers is not None and change.answers not in [(a.fact, a.mark) for a in ledger.asked]:
        return "moved", group
    left = written(ledger, change)
    if config.wary:
        left = left._replace(sound=_sealed(left) == _sealed(written(lane.memory, change)))
    return "ok", _acknowledge(group._replace(ledger=left), change)


def _sealed(ledger: Ledger) -> tuple[object, ...]:
    """What is under the seal, which a lane writes over what it believes."""
    return ledger.links, ledger.debts, ledger.place, ledger.parks, ledger.stopped


def _acknowledge(group: Group, change: Change) -> Group:
    return group._replace(pending=tuple(e for e in group.pending if e != change.ack))


def _passed(ledger: Ledger, change: Change) -> Ledger:
    if change.passed is None or change.passed[1] < ledger.place:
        return ledger
    return ledger._replace(place=change.passed[1] + 1, version=ledger.version + 1)


def written(ledger: Ledger, change: Change) -> Ledger:
    """The ledger with the change in it; a lane does the same to its memory."""
    links, debts, done, ends = ledger.links, ledger.debts, ledger.done, ledger.ends
    for i, link in change.links:
        links = put(links, i, link)
    for i, debt in change.debts:
        debts = put(debts, i, debt)
    for fact, result in change.ends:
        done = put(done, fact, "filled" if done[fact] == "filled" else result)
        ends = put(ends, fact, ends[fact] + (result != OWED))
    parks = tuple(e for e in ledger.parks if e != change.ack)
    if change.park is not None and change.park not in parks:
        parks = (*parks, change.park)
    asked = tuple(a for a in ledger.asked if (a.fact, a.mark) != change.answers)
    missing = ledger.missing if change.lost is None else tuple(sorted({*ledger.missing, change.lost}))
    new = ledger._replace(links=links, debts=debts, done=done, ends=ends, parks=tuple(sorted(parks)), asked=asked)
    new = new._replace(missing=missing)
    return _passed(new._replace(version=ledger.version + 1), change)
