"""What an operator may ask for at any moment, or never, and what a lane does about it: a fact again, its end by hand.

A later attempt bears a mark of its own and opens what the source shows then. Everything else is as for an entry: what
may have been sent is searched, the fence stands before the call, and the commit takes the request away.
"""

from collections.abc import Iterator

from tests.model.checker import Step, fault
from tests.model.scripts import Change
from tests.model.state import (
    FINAL,
    REPLAYABLE,
    Account,
    Asked,
    Call,
    Config,
    Debt,
    Group,
    Lane,
    Ledger,
    Link,
    Terminal,
    World,
    put,
    try_item,
)
from tests.model.story import Story, total, total_before

NOTHING = (0, 0)
"""What a source shows of which nothing was published (any more)."""


def operator_steps(config: Config, world: World, number: int) -> Iterator[Step[World]]:
    """What the operator of an account can ask for now."""
    if not world.asks:
        return
    ledger, account = world.redis.groups[number].ledger, world.accounts[number]
    if not any(lane.lease for lane in account.lanes):
        return
    if config.replays:
        for fact in _askable(config, ledger):
            asked = Asked(fact, _mark(config, ledger, fact))
            yield _asked(world, number, asked, f"the operator wants «{config.story[fact].name}» tried again")
    if config.may_resolve:
        for fact in (fact for _, fact in ledger.parks if _opens(config, fact)):
            if Asked(fact) not in ledger.asked:
                name = f"the operator says that «{config.story[fact].name}» was not done"
                yield _asked(world, number, Asked(fact), name)


def _opens(config: Config, fact: int) -> bool:
    told = config.story[fact]
    return abs(total(told, config.act_on)) > abs(total_before(told, config.act_on))


def may_still_run(config: Config, account: Account, fact: int) -> bool:
    """Whether a call for a fact can still begin or still be executed: not-after and deadline are not over."""
    calls = (lane.call for lane in account.lanes if lane.phase == "fenced" and lane.call is not None)
    asked = [call.mark for call in (*calls, *account.terminal.left_behind) if call.kind == "open"]
    return config.rules.resolve_waits and fact in asked


def _askable(config: Config, ledger: Ledger) -> list[int]:
    """The facts whose last attempt ended without effect, and that are not asked for yet."""
    ended = REPLAYABLE if config.rules.replay_checks_end else FINAL
    there = {asked.fact for asked in ledger.asked}
    return [i for i, r in enumerate(ledger.done) if r in ended and i not in there and ledger.ends[i] <= config.replays]


def _mark(config: Config, ledger: Ledger, fact: int) -> int:
    return ledger.ends[fact] * len(config.story) + fact


def _asked(world: World, number: int, asked: Asked, name: str) -> Step[World]:
    group = world.redis.groups[number]
    tried = group.ledger.tried if asked.ends else tuple(sorted((*group.ledger.tried, asked.fact)))
    ledger = group.ledger._replace(asked=tuple(sorted((*group.ledger.asked, asked))), tried=tried)
    redis = world.redis._replace(groups=put(world.redis.groups, number, group._replace(ledger=ledger)))
    return fault(name, world._replace(redis=redis, asks=world.asks - 1))


def noted(config: Config, ledger: Ledger, asked: Asked) -> Ledger:
    """The ledger with what is going to be sent for a request; the lane does the same to the version it knows."""
    rest = [a for a in ledger.asked if a.mark != asked.mark]
    raised = ledger.version + config.rules.replay_note_raises_version
    return ledger._replace(asked=tuple(sorted((*rest, asked))), version=raised)


def brought_back(config: Config, group: Group, lane: Lane) -> Group:
    """What the server has forgotten of the requests that this process has worked at, and that have no end."""
    n, ledger = len(config.story), group.ledger
    there = {a.mark for a in ledger.asked if a.planned is not None}
    gone = [a for a in lane.noted if a.mark not in there and ledger.ends[a.fact] <= a.mark // n]
    if not gone or not config.rules.replay_remembered:
        return group
    kept = [a for a in ledger.asked if a.mark not in {g.mark for g in gone}]
    tried = ledger.tried
    for a in gone:
        if tried.count(a.fact) < a.mark // n:
            tried = tuple(sorted((*tried, a.fact)))
    asked = tuple(sorted((*kept, *gone)))
    return group._replace(ledger=ledger._replace(asked=asked, tried=tried, version=ledger.version + 1))


def shown(config: Config, world: World, fact: int) -> tuple[int, int]:
    """What the source shows of a fact's position: its total and its revision, by what was published."""
    same = [i for _, i in world.redis.stream if config.story[i].link == config.story[fact].link]
    return (total(config.story[max(same)], config.act_on), config.story[max(same)].revision) if same else NOTHING


def again(
    config: Config, lane: Lane, terminal: Terminal, asked: Asked, now: tuple[int, int], pending: bool
) -> Change | Call | None:
    """What to do next about a fact that is to be tried again; None: wait.

    `pending`: a failover has brought its entry back, and its first attempt is to be made (again).
    """
    memory, story = lane.memory, config.story
    assert memory is not None
    link = memory.links[story[asked.fact].link]
    suspect = asked.mark in lane.tries
    if terminal.opened[asked.mark] and (suspect or config.rules.replay_looks):
        return _found(config, memory, asked, terminal.opened[asked.mark])
    if suspect and try_item(asked.mark) not in lane.ripe:
        return None
    if now == NOTHING or pending or _waits(story, memory, asked):
        return None
    if config.rules.replay_checks_end and memory.done[asked.fact] == "filled":
        return Change(answers=(asked.fact, asked.mark))
    earlier = [mark for mark in range(asked.fact, asked.mark, len(story)) if terminal.volume[mark]]
    if config.rules.replay_looks and any(mark != link.ticket for mark in earlier):
        return _ends(config, memory, asked, "ignored")
    if config.rules.replay_at_present_size and (not now[0] or link.own or now[1] < link.revision):
        return _ends(config, memory, asked, "ignored")
    if memory.mode != "active":
        return _ends(config, memory, asked, "denied")
    size = now[0] if config.rules.replay_at_present_size else total(story[asked.fact], config.act_on)
    return Call("open", asked.mark, asked.mark, size)


def answered(config: Config, lane: Lane, asked: Asked) -> Change | None:
    """What to commit after the vendor's answer; None: nobody knows."""
    assert lane.memory is not None
    assert lane.call is not None
    assert asked.planned is not None
    if lane.answer == "refused":
        return _ends(config, lane.memory, asked, "rejected")
    if lane.answer != "done":
        return None
    return _opened(config, asked, lane.call.volume, asked.planned)


def by_hand(config: Config, memory: Ledger, terminal: Terminal, fact: int) -> Change:
    """End a parked fact as not done; what the terminal shows stands against that."""
    entry = next((entry for entry in memory.parks if entry[1] == fact), None)
    known = memory.links[config.story[fact].link]
    if entry is None or (terminal.opened[fact] and config.rules.resolve_looks):
        return Change(answers=(fact, -1))
    told = config.story[fact]
    link = known._replace(followed=total(told, config.act_on), revision=told.revision, target=known.own)
    ends, links = ((fact, "rejected"),), ((told.link, link),)
    return Change(ends=ends, links=links, ack=entry, passed=entry, answers=(fact, -1))


def _waits(story: Story, memory: Ledger, asked: Asked) -> bool:
    fact = story[asked.fact]
    parked = any(story[i].instrument == fact.instrument for _, i in memory.parks)
    return parked or memory.debts[fact.link] is not None


def _found(config: Config, memory: Ledger, asked: Asked, opened: int) -> Change:
    """What was sent for it is ours, as it was meant; newer facts that were followed since make a debt of the rest."""
    told = config.story[asked.fact]
    planned = asked.planned or (total(told, config.act_on), told.revision)
    adopted, link, n = _opened(config, asked, opened, planned), memory.links[told.link], told.link
    if link.followed is None or link.revision <= planned[1] or abs(link.followed) >= abs(opened):
        return adopted
    newer = Link(opened, link.followed, asked.mark, link.followed, link.revision)
    return adopted._replace(links=((n, newer),), debts=((n, Debt(opened, link.followed, asked.mark, None)),))


def _opened(config: Config, asked: Asked, volume: int, planned: tuple[int, int]) -> Change:
    link = Link(volume, volume, asked.mark, planned[0], planned[1])
    links = ((config.story[asked.fact].link, link),)
    return Change(ends=((asked.fact, "filled"),), links=links, answers=(asked.fact, asked.mark))


def _ends(config: Config, memory: Ledger, asked: Asked, result: str) -> Change:
    return Change(ends=((asked.fact, result),), answers=(asked.fact, asked.mark))
