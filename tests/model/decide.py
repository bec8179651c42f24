"""What a lane does next, decided from its memory, the terminal as it reads it, and nothing else.

A decision is a Change to commit (an end, a park, a debt), a Call to the vendor, or None: wait. "Maybe sent" is
everything that was not read new by this lane under this lease; it is searched by its mark before anything else.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from tests.model.scripts import Change
from tests.model.state import FINAL, OWED, Call, Config, Debt, Lane, Ledger, Link, Terminal, Work, debt_item, try_item
from tests.model.story import identity, total, total_before

Decision = Change | Call | None


class Plan(NamedTuple):
    """What a fact asks of its link: nothing, growth by `amount`, reduction to `amount`, or a turn to `amount`."""

    kind: Literal["none", "open", "reduce", "turn"]
    amount: int = 0


class View(NamedTuple):
    """What a decision is made from."""

    config: Config
    memory: Ledger
    ripe: tuple[int, ...]
    terminal: Terminal
    work: Work
    unsure: tuple[int, ...] = ()
    began: int = 0

    @property
    def fact(self) -> int:
        """The fact at hand, by the first entry that has it."""
        return identity(self.config.story, self.work.entry[1])

    def before(self) -> Iterator[int]:
        """The parked facts that come before the entry at hand."""
        return (j for _, j in self.memory.parks if j < self.work.entry[1])

    @property
    def over(self) -> bool:
        """Whether an entry that comes again has its end by the memory: it was passed, and does not wait."""
        passed = self.work.kind == "entry" and self.work.entry[1] < self.memory.place
        return self.config.wary and passed and self.work.entry not in self.memory.parks

    @property
    def asked(self) -> bool:
        """Whether it is asked how the fact has ended: what was read new has no end, unless it was stated before."""
        again = self.config.story[self.work.entry[1]].again is not None
        return self.config.rules.commit_checks_end and (
            not self.work.fresh or (again and self.config.rules.asks_when_stated_again)
        )

    def maybe_sent(self, item: int) -> bool:
        """Whether the call may have been made already and its grace is not over."""
        return self.config.rules.grace and self.config.rules.search and not self.work.fresh and item not in self.ripe

    @property
    def looked_for(self) -> bool:
        """Whether the terminal is looked through for the fact's opening: it may have been sent, or was there before
        this lane began."""
        return self.config.rules.search and (not self.work.fresh or self.fact < self.began)


def follow(config: Config, fact_index: int, link: Link, base: int) -> Plan:
    """Compare a fact's total with the one that the link followed last; a reduction is a share of `base`."""
    fact = config.story[fact_index]
    now, before = total(fact, config.act_on), total_before(fact, config.act_on)
    if not config.rules.totals:
        return _follow_delta(now - before, base)
    followed = before if link.followed is None else link.followed
    if fact.revision < link.revision or now == followed:
        return Plan("none")
    if now * followed < 0:
        return Plan("turn", now)
    if abs(now) > abs(followed):
        return Plan("open", now - followed)
    return Plan("reduce", base * now // followed)


def _follow_delta(change: int, own: int) -> Plan:
    return Plan("open", change) if change > 0 else Plan("reduce", max(0, own + change)) if change < 0 else Plan("none")


def unsure(config: Config, lane: Lane) -> tuple[int, ...]:
    """The facts that are tried again and may have been sent: what is about them waits."""
    marks = [mark for mark in lane.tries if try_item(mark) not in lane.ripe]
    return tuple(mark % len(config.story) for mark in marks)


def decide(config: Config, lane: Lane, terminal: Terminal, work: Work) -> Decision:
    """The next thing to do for `work`."""
    assert lane.memory is not None
    view = View(config, lane.memory, lane.ripe, terminal, work, unsure(config, lane), lane.began)
    return _decide_debt(view) if work.kind == "debt" else _decide_fact(view)


def _decide_fact(view: View) -> Decision:
    i, memory = view.fact, view.memory
    if view.over or (view.asked and (memory.done[i] in FINAL or memory.done[i] == OWED)):
        return Change(ack=view.work.entry, passed=view.work.entry)
    n = view.config.story[i].link
    link, debt = memory.links[n], memory.debts[n]
    tried = any(view.config.story[j].link == n for j in view.unsure)
    if tried or any(view.config.story[j].link == n for j in view.before()):
        return _wait(view)
    plan = follow(view.config, i, link, debt.target if debt else link.target)
    if plan.kind == "none" and view.config.rules.probes and _late(view, link) and debt is None:
        return _probe(view, link)
    if plan.kind == "none" or (plan.kind == "reduce" and link.own == 0):
        return _end(view, "ignored", link.own, target=link.target)
    if debt is not None:
        return _behind_debt(view, plan, debt)
    if plan.kind == "reduce":
        return _reduce(view, plan.amount)
    if plan.kind == "turn" and link.own and view.terminal.volume[link.ticket]:
        return Call("close", i, link.ticket, view.terminal.volume[link.ticket], whole=True)
    return _open(view, plan)


def _late(view: View, link: Link) -> bool:
    """Whether it is an opening that comes after newer facts of its link, and may have been sent before them."""
    fact = view.config.story[view.fact]
    grows = abs(total(fact, view.config.act_on)) > abs(total_before(fact, view.config.act_on))
    return grows and not view.work.fresh and fact.revision < link.revision and not link.own


def _probe(view: View, link: Link) -> Change | None:
    """Search it, and never send it: what shows up is ours, and is brought to what was followed since."""
    i, n = view.fact, view.config.story[view.fact].link
    found = view.terminal.opened[i]
    if not found:
        return _wait(view) if view.maybe_sent(i) else _end_late(view, "superseded", link)
    left = link.followed or 0
    kept = link._replace(own=found, target=left, ticket=i)
    debt = Debt(found, left, i, None) if left != found else None
    return _end_late(view, "filled", kept)._replace(debts=((n, debt),) if debt else ())


def _end_late(view: View, result: str, link: Link) -> Change:
    entry, n = view.work.entry, view.config.story[view.fact].link
    return Change(ends=((view.fact, result),), links=((n, link),), ack=entry, passed=entry)


def _wait(view: View) -> Change | None:
    """Park what came by an entry; what is parked already stays so."""
    return None if view.work.kind == "park" else Change(park=view.work.entry, passed=view.work.entry)


def _end(view: View, result: str, own: int, ticket: int | None = None, target: int | None = None) -> Change:
    fact = view.config.story[view.fact]
    old = view.memory.links[fact.link]
    target, ticket = own if target is None else target, old.ticket if ticket is None else ticket
    followed, revision = total(fact, view.config.act_on), fact.revision
    if revision < old.revision:
        followed, revision = old.followed or 0, old.revision
    new = Link(own, target, ticket, followed, revision)
    entry = view.work.entry
    return Change(ends=((view.fact, result),), links=((fact.link, new),), ack=entry, passed=entry)


def _behind_debt(view: View, plan: Plan, debt: Debt) -> Change | None:
    """A later exit moves the debt's target, an opening waits for its end; a turn does both."""
    n, i = view.config.story[view.fact].link, view.fact
    superseded = ((debt.newest, "superseded"),) if debt.newest is not None else ()
    if plan.kind == "open" or (plan.kind == "turn" and debt.target == 0):
        return _wait(view)
    if plan.kind == "turn":
        moved = Change(ends=superseded, debts=((n, debt._replace(target=0, newest=None)),))
        return moved if view.work.kind == "park" else moved._replace(park=view.work.entry, passed=view.work.entry)
    return _owe(view, debt._replace(target=plan.amount, newest=i), superseded)


def _owe(view: View, debt: Debt, superseded: tuple[tuple[int, str], ...] = ()) -> Change:
    own = view.memory.links[view.config.story[view.fact].link].own
    change = _end(view, OWED, own, target=debt.target)
    return change._replace(ends=(*superseded, *change.ends), debts=((view.config.story[view.fact].link, debt),))


def _reduce(view: View, target: int) -> Decision:
    i = view.fact
    link = view.memory.links[view.config.story[i].link]
    if not view.config.rules.exits_pass_parks and _instrument_waits(view):
        return _wait(view)
    if target == 0:
        there = view.terminal.volume[link.ticket]
        return Call("close", i, link.ticket, there, whole=True) if there else _end(view, "closed", 0)
    now = _left_of(view, link, link.own, i)
    if abs(now) <= abs(target):
        return _end(view, "closed", now, target=target)
    if view.maybe_sent(i):
        return _owe(view, Debt(link.own, target, i, i))
    return Call("close", i, link.ticket, now - target)


def _left_of(view: View, link: Link, own: int, mark: int) -> int:
    """What there is of the link now: as the terminal shows it, not as it should be by what we remember."""
    if view.config.rules.amount_from_terminal:
        return view.terminal.volume[link.ticket]
    return own - (view.terminal.closed[mark] if view.config.rules.search and not view.work.fresh else 0)


def _instrument_waits(view: View) -> bool:
    story, i = view.config.story, view.fact
    everything = view.config.rules.parks_all_instruments
    tried = any(story[j].instrument == story[i].instrument for j in view.unsure)
    return tried or any(everything or story[j].instrument == story[i].instrument for j in view.before())


def _open(view: View, plan: Plan) -> Decision:
    i, rules = view.fact, view.config.rules
    own = 0 if plan.kind == "turn" else view.memory.links[view.config.story[i].link].own
    refused = "closed" if plan.kind == "turn" else "denied"
    may_open = view.memory.mode == "active" and not view.memory.stopped
    if not rules.search_before_guards and not may_open:
        return _end(view, refused, own)
    if view.looked_for and view.terminal.opened[i]:
        return _end(view, "filled", own + view.terminal.opened[i], ticket=i)
    if view.maybe_sent(i) or (rules.openings_wait and _instrument_waits(view)):
        return _wait(view)
    if view.work.kind == "park" and _no_longer_wanted(view):
        return _end(view, "closed" if plan.kind == "turn" else "superseded", own)
    return Call("open", i, i, plan.amount) if may_open else _end(view, refused, own)


def _no_longer_wanted(view: View) -> bool:
    story, i = view.config.story, view.fact
    later = [j for _, j in view.memory.parks if j > view.work.entry[1] and story[j].link == story[i].link]
    return bool(later) and total(story[later[-1]], view.config.act_on) == 0


def _decide_debt(view: View) -> Decision:
    n = view.work.link
    debt, link = view.memory.debts[n], view.memory.links[n]
    assert debt is not None
    there = view.terminal.volume[link.ticket]
    if debt.target == 0:
        return Call("close", debt.born, link.ticket, there, whole=True) if there else _paid(view, debt, 0)
    now = _left_of(view, link, debt.own, debt.born)
    if abs(now) <= abs(debt.target):
        return _paid(view, debt, now)
    return None if view.maybe_sent(debt_item(n)) else Call("close", debt.born, link.ticket, now - debt.target)


def _paid(view: View, debt: Debt, own: int) -> Change:
    ends = ((debt.newest, "closed"),) if debt.newest is not None else ()
    link = view.memory.links[view.work.link]._replace(own=own, target=debt.target)
    return Change(ends=ends, links=((view.work.link, link),), debts=((view.work.link, None),))


def settle(config: Config, lane: Lane, terminal: Terminal) -> Change | None:
    """What to commit after the vendor's answer (`done`, `refused`, `unknown`); None: nothing, look again."""
    assert lane.memory is not None
    assert lane.work is not None
    assert lane.call is not None
    view = View(config, lane.memory, lane.ripe, terminal, lane.work)
    if lane.work.kind == "debt":
        return None
    link = lane.memory.links[config.story[view.fact].link]
    plan = follow(config, view.fact, link, link.target)
    if lane.call.kind == "open":
        return _settle_opening(view, plan, lane.call, lane.answer, 0 if plan.kind == "turn" else link.own)
    if plan.kind == "turn":
        return None if lane.answer == "done" else _turn_owes(view, link)
    if lane.answer == "done":
        own = 0 if lane.call.whole else link.own - lane.call.volume
        return _end(view, "closed", own, target=plan.amount)
    return _owe(view, Debt(link.own, plan.amount, view.fact, view.fact))


def _settle_opening(view: View, plan: Plan, call: Call, answer: str, own: int) -> Change | None:
    match answer:
        case "done":
            return _end(view, "filled", own + call.volume, ticket=view.fact)
        case "refused":
            return _end(view, "closed" if plan.kind == "turn" else "rejected", own)
        case _:
            return _wait(view)


def _turn_owes(view: View, link: Link) -> Change:
    debt = ((view.config.story[view.fact].link, Debt(link.own, 0, view.fact, None)),)
    entry = view.work.entry
    return Change(debts=debt) if view.work.kind == "park" else Change(debts=debt, park=entry, passed=entry)
