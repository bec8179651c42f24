"""Everything that one lane can do in one step: read, claim, decide, fence, call, commit; and what can happen to it."""

from collections.abc import Iterator
from typing import Any

from tests.model import operator, scripts, vendor
from tests.model.at import STANDBY, At
from tests.model.checker import Step
from tests.model.decide import decide, settle
from tests.model.scripts import Change
from tests.model.state import Asked, Call, Config, Entry, Group, Lane, Ledger, Work, World, debt_item, try_item
from tests.model.story import identity


def lane_steps(at: At) -> Iterator[Step[World]]:
    """Every step that this lane can take, and every fault that can hit it."""
    yield from _hit(at)
    match at.lane.phase:
        case "standby":
            yield from _acquire(at)
        case "taken":
            yield _begin(at) if at.lane.lease else at.step("notices that its lease is gone", _emptied(at))
        case "idle":
            yield from _idle(at)
        case "got":
            yield from _do(at, at.lane.work)
        case "ready":
            yield _fence(at)
        case "fenced":
            yield from _call(at)
        case "expired":
            yield at.step("finds its not-after time passed and fences again", at.lane._replace(phase="ready"))
        case "answered":
            yield from _settle(at)


def _hit(at: At) -> Iterator[Step[World]]:
    account = at.world.accounts[at.account]
    if at.lane.lease and at.lane.phase != "standby" and at.may("pause"):
        yield at.step("is paused, its lease lapses", at.lane._replace(lease=False), fault=True)
    if at.lane.phase != "standby" and at.may("crash"):
        yield at.step("crashes", STANDBY, fault=True, orphan_lease=at.lane.lease or account.orphan_lease)


def _acquire(at: At) -> Iterator[Step[World]]:
    account = at.world.accounts[at.account]
    if (
        not at.group.ledger.sound
        or account.orphan_lease
        or any(lane.lease for lane in account.lanes if lane is not at.lane)
    ):
        return
    survives = at.lane.lease and account.lease_survives
    if at.config.rules.taking_writes:
        yield at.step("takes the lease", at.lane._replace(phase="taken", lease=True), lease_survives=survives)
    else:
        yield _begin(at, lease_survives=survives)


def _begin(at: At, **changes: Any) -> Step[World]:
    group = scripts.acquire(at.config, at.world, at.account, at.lane.known)
    group = operator.brought_back(at.config, group, at.lane)
    ledger, gone = group.ledger, at.world.redis.gone
    parks = tuple(e for e in ledger.parks if e[1] not in gone)
    memory, tries = ledger._replace(parks=parks, asked=(), tried=()), [a.mark for a in ledger.asked if not a.ends]
    todo = tuple(e for e in _taken(at.config, group) if e not in parks)
    began = len(at.world.redis.stream) if at.config.wary and at.config.rules.looks_back else 0
    lane = Lane("idle", lease=True, memory=memory, todo=todo, tries=tuple(tries), noted=at.lane.noted, began=began)
    if at.config.wary and any(fact in gone for fact in range(ledger.place, group.delivered)):
        lane = lane._replace(vanished=group.delivered)
    return at.step("takes the lease and claims what is pending", lane, group=group, **changes)


def _unparked(at: At) -> tuple[Entry, ...]:
    parks, gone = at.group.ledger.parks, at.world.redis.gone
    taken = _taken(at.config, at.group)
    return tuple(e for e in taken if e not in parks or (e[1] in gone and e not in at.memory.parks))


def _taken(config: Config, group: Group) -> tuple[Entry, ...]:
    """What is pending and was delivered: what a thief has claimed beyond that comes by itself."""
    delivered = config.rules.takes_delivered
    return tuple(entry for entry in group.pending if entry[1] < group.delivered or not delivered)


def _idle(at: At) -> Iterator[Step[World]]:
    lane = at.lane
    if not lane.lease:
        yield at.step("notices that its lease is gone", STANDBY._replace(noted=lane.noted))
    elif at.config.rules.renewal_checks_version and at.memory.version != at.group.ledger.version:
        yield _forget(at, "learns from the renewal that the ledger is another one")
    if lane.todo:
        work = Work("entry", lane.todo[0], -1, fresh=False)
        rest = at._replace(world=at.with_lane(lane._replace(todo=lane.todo[1:])))
        if work.entry[1] in at.world.redis.gone:
            yield from _empty(rest, work)
        if work.entry[1] not in at.world.redis.gone or work.entry not in at.group.ledger.parks:
            yield from _do(rest, work)
    else:
        yield from _pass_vanished(at) if lane.vanished else _next(at)
    for entry in at.memory.parks:
        yield from _do(at, Work("park", entry, -1, fresh=False))
    for n, debt in enumerate(at.memory.debts):
        if debt is not None:
            yield from _do(at, Work("debt", (0, debt.born), n, fresh=False))
    for asked in at.group.ledger.asked:
        yield from _attend(at, asked)


def _next(at: At) -> Iterator[Step[World]]:
    yield from _read(at)
    yield from _claim(at)


def _pass_vanished(at: At) -> Iterator[Step[World]]:
    """What was delivered and is there no more is passed, once all that is left before it was taken."""
    last = (0, at.lane.vanished - 1)
    going_on = at._replace(world=at.with_lane(at.lane._replace(vanished=0)))
    yield from _commit(going_on, Work("entry", last, -1, fresh=False), Change(passed=last), called=False)


def _empty(at: At, work: Work) -> Iterator[Step[World]]:
    """What was removed after it had been read is pending without its content: a dead letter, which passes no number.

    It may have been claimed before that, and be known. That it was parked was told, so that it is known to have no end.
    """
    parked = work.entry in at.group.ledger.parks and at.config.rules.removal_remembered
    yield from _commit(at, work, Change(ack=work.entry, lost=work.entry[1] if parked else None), called=False)


def _attend(at: At, asked: Asked) -> Iterator[Step[World]]:
    terminal = at.world.accounts[at.account].terminal
    if asked.ends:
        if operator.may_still_run(at.config, at.world.accounts[at.account], asked.fact):
            return
        work = Work("end", (0, asked.fact), -1, fresh=False)
        yield from _commit(at, work, operator.by_hand(at.config, at.memory, terminal, asked.fact), called=False)
        return
    work, now = Work("again", (0, asked.fact), -1, fresh=False), operator.shown(at.config, at.world, asked.fact)
    pending = asked.fact >= at.group.delivered or any(fact == asked.fact for _, fact in at.group.pending)
    decision = operator.again(at.config, at.lane, terminal, asked, now, pending)
    if isinstance(decision, Call):
        yield _note(at, work, decision, asked._replace(planned=now))
    elif isinstance(decision, Change):
        yield from _commit(at, work, decision, called=False)


def _note(at: At, work: Work, call: Call, asked: Asked) -> Step[World]:
    answer, _ = scripts.commit(at.config, at.group, at.lane, Change(answers=(asked.fact, asked.mark)))
    if answer != "ok":
        return _forget(at, f"is refused by the commit ({answer})")
    ledger = operator.noted(at.config, at.group.ledger, asked)
    kept = tuple(sorted((*(a for a in at.lane.noted if a.mark != asked.mark), asked)))
    memory = at.memory._replace(version=ledger.version)
    ready = at.lane._replace(phase="ready", work=work, call=call, memory=memory, noted=kept)
    return at.step(f"notes that it will {_words(at, call)}", ready, group=at.group._replace(ledger=ledger))


def _read(at: At) -> Iterator[Step[World]]:
    group, redis = at.group, at.world.redis
    number = next((n for n in range(group.delivered, len(redis.stream)) if n not in redis.gone), None)
    if number is None:
        return
    entry = redis.stream[number]
    pending = tuple(sorted({*group.pending, entry}))
    passed = at.memory.place if at.config.rules.passed_is_suspect else 0
    fresh = entry[1] >= max(at.memory.suspect, passed) and entry not in group.pending
    got = at.lane._replace(phase="got", work=Work("entry", entry, -1, fresh))
    name = at.config.story[entry[1]].name
    yield at.step(f"reads «{name}»", got, group=group._replace(delivered=number + 1, pending=pending))


def _claim(at: At) -> Iterator[Step[World]]:
    if todo := _unparked(at):
        yield at.step("claims what is pending", at.lane._replace(todo=todo))


def _forget(at: At, why: str) -> Step[World]:
    return at.step(f"{why} and begins anew", _emptied(at))


def _emptied(at: At) -> Lane:
    """The lane with nothing in its memory; a mutation lets it keep the version."""
    known = -1 if at.config.rules.suspect_even_if_the_version_agrees else at.memory.version
    return STANDBY._replace(lease=at.lane.lease, known=known, noted=at.lane.noted)


def _do(at: At, work: Work | None) -> Iterator[Step[World]]:
    assert work is not None
    if work.kind == "entry" and work.entry[1] > at.memory.place and at.config.rules.claim_on_gap:
        yield _at_gap(at, work)
        return
    decision = decide(at.config, at.lane, at.world.accounts[at.account].terminal, work)
    if isinstance(decision, Call):
        ready = at.lane._replace(phase="ready", work=work, call=decision)
        fenced = At(at.config, at.with_lane(ready), at.account, at.number)
        yield _fence(fenced) if work.fresh else fenced.step(f"finds it must {_words(at, decision)}", ready)
    elif decision is not None:
        yield from _commit(at, work, decision, called=False)


def _at_gap(at: At, work: Work) -> Step[World]:
    """What is missing is looked for among what is pending; when it is not there either, openings stop."""
    missing, pending = range(at.memory.place, work.entry[1]), [fact for _, fact in at.group.pending]
    known = range(len(at.world.redis.stream)) if at.config.wary else at.world.redis.gone
    if not all(fact in known and fact not in pending for fact in missing):
        return _forget(at, "sees a gap in the sequence")
    ledger = at.group.ledger
    if not at.lane.lease or ledger.version != at.memory.version:
        return _forget(at, "may not say what is missing")
    kept = tuple(sorted({*ledger.missing, *missing})) if at.config.rules.removal_remembered else ()
    sealed = at.config.rules.stop_is_sealed
    stopped = ledger._replace(mode="close-only", missing=kept, version=ledger.version + 1, stopped=sealed)
    memory = at.memory._replace(mode="close-only", missing=kept, version=stopped.version, stopped=sealed)
    memory = memory._replace(place=work.entry[1])
    going_on = at.lane._replace(phase="got", work=work, memory=memory)
    group = at.group._replace(ledger=stopped)
    return at.step("finds that facts were removed, and stops openings", going_on, group=group)


def _words(at: At, call: Call) -> str:
    story = at.config.story
    return f"{call.kind} {abs(call.volume)} for «{story[call.mark % len(story)].name}»"


def _fence(at: At) -> Step[World]:
    lane = at.lane
    assert lane.work is not None
    assert lane.call is not None
    fact = identity(at.config.story, lane.work.entry[1]) if lane.work.kind in ("entry", "park") else None
    opening = lane.call.kind == "open"
    answer = scripts.fence(at.config, at.group.ledger, lane, opening, fact)
    if answer == "ok":
        return at.step(f"passes the fence to {_words(at, lane.call)}", lane._replace(phase="fenced"))
    return _forget(at, f"is refused by the fence ({answer})")


def _call(at: At) -> Iterator[Step[World]]:
    lane, terminal = at.lane, at.world.accounts[at.account].terminal
    assert lane.call is not None
    words = _words(at, lane.call)
    after = vendor.execute(terminal, lane.call, at.config.story)
    done = lane._replace(phase="answered", answer="done" if after else "refused")
    yield at.step(f"calls: {words}: {done.answer}", done, terminal=after or terminal)
    unknown = lane._replace(phase="answered", answer="unknown")
    if after is not None and at.may("refuse"):
        yield at.step(f"calls: {words}: refused", lane._replace(phase="answered", answer="refused"), fault=True)
    if after is not None and at.may("unknown"):
        yield at.step(f"calls: {words}: done, but no answer", unknown, fault=True, terminal=after)
        yield at.step(f"calls: {words}: not done, no answer", unknown, fault=True)
    if after is not None and at.may("late"):
        left = vendor.leave_behind(terminal, lane.call)
        yield at.step(
            f"calls: {words}: no answer, the child dies, the request is under way", unknown, fault=True, terminal=left
        )
    if at.may("crash") and "late" in at.config.allowed:
        left = vendor.leave_behind(terminal, lane.call)
        orphan = lane.lease or at.world.accounts[at.account].orphan_lease
        yield at.step(f"crashes while it calls: {words}", STANDBY, fault=True, terminal=left, orphan_lease=orphan)


def _settle(at: At) -> Iterator[Step[World]]:
    lane = at.lane
    assert lane.work is not None
    assert lane.call is not None
    if lane.work.kind == "again":
        yield from _settle_again(at, lane.work, lane.call)
        return
    change = settle(at.config, lane, at.world.accounts[at.account].terminal)
    if change is not None:
        yield from _commit(at, lane.work, change, called=True)
        return
    ripe = _ripe_after(lane.ripe, lane.work, lane.answer)
    if lane.work.kind == "entry":
        yield at.step("goes on", lane._replace(phase="got", call=None, answer=""))
    else:
        yield at.step("looks again", lane._replace(phase="idle", work=None, call=None, answer="", ripe=ripe))


def _settle_again(at: At, work: Work, call: Call) -> Iterator[Step[World]]:
    asked = next((a for a in at.group.ledger.asked if a.mark == call.mark), None)
    if asked is None or asked.planned is None:
        yield _forget(at, "finds the request gone")
    elif (change := operator.answered(at.config, at.lane, asked)) is not None:
        yield from _commit(at, work, change, called=True)
    else:
        tries = tuple(sorted({*at.lane.tries, call.mark}))
        ripe = _marked(at.lane.ripe, try_item(call.mark), is_ripe=False)
        lane = at.lane._replace(phase="idle", work=None, call=None, answer="", ripe=ripe, tries=tries)
        yield at.step("looks again", lane)


def _ripe_after(ripe: tuple[int, ...], work: Work, answer: str) -> tuple[int, ...]:
    item = debt_item(work.link) if work.kind == "debt" else work.entry[1]
    return _marked(ripe, item, answer != "unknown")


def _marked(ripe: tuple[int, ...], item: int, is_ripe: bool) -> tuple[int, ...]:
    rest = {x for x in ripe if x != item}
    return tuple(sorted(rest | {item})) if is_ripe else tuple(sorted(rest))


def _commit(at: At, work: Work, change: Change, *, called: bool) -> Iterator[Step[World]]:
    lane = at.lane
    answer, group = scripts.commit(at.config, at.group, lane, change)
    name = _named(at, change)
    if answer == "ok":
        memory = scripts.written(at.memory, change)
        ripe = _ripe_now(at, work, change, memory, called)
        tries = tuple(mark for mark in lane.tries if change.answers is None or mark != change.answers[1])
        after = Lane("idle", lane.lease, memory, lane.todo, ripe, tries=tries, noted=lane.noted)
        after = after._replace(began=lane.began, vanished=lane.vanished)
        yield at.step(name, after, group=group)
        if at.may("reply"):
            again = lane if lane.phase in ("got", "answered") else _emptied(at)
            yield at.step(f"{name}, but the reply is lost", again, fault=True, group=group)
        return
    yield at.step(f"is refused by the commit ({answer}) and begins anew", _emptied(at), group=group)


def _named(at: At, change: Change) -> str:
    story = at.config.story
    said = [f"«{story[fact].name}» {result}" for fact, result in change.ends]
    if change.park is not None:
        said.append(f"«{story[change.park[1]].name}» parked")
    if change.answers is not None and not change.ends:
        said.append("what was asked is refused")
    said += [f"debt {'ended' if debt is None else f'to {debt.target}'}" for _, debt in change.debts]
    return "commits: " + (", ".join(said) or "nothing but the acknowledgement")


def _ripe_now(at: At, work: Work, change: Change, memory: Ledger, called: bool) -> tuple[int, ...]:
    """Ripe are those that this lane knows were never sent, or were answered without doubt."""
    ripe, sure = at.lane.ripe, at.lane.answer != "unknown"
    for n, debt in change.debts:
        if debt is not None and at.memory.debts[n] is None:
            ripe = _marked(ripe, debt_item(n), called and sure)
    if change.park is not None:
        turn_waits = called and bool(change.debts)
        ripe = _marked(ripe, change.park[1], work.fresh and (sure or turn_waits))
    alive = {e[1] for e in memory.parks} | {debt_item(n) for n, d in enumerate(memory.debts) if d is not None}
    alive |= {try_item(mark) for mark in at.lane.tries if change.answers is None or mark != change.answers[1]}
    return tuple(x for x in ripe if x in alive)
