"""The states of the model: source, Redis, lanes and terminals, all immutable, and the rules a mutation switches off.

Time is counted in ticks, only where it matters: a call may begin in the tick of its fence, a request that a dead
child left behind may still run in its tick, and the grace lasts beyond the next tick. A process that is not scheduled
is a paused process, so a pause (SIGSTOP) at any point needs no step of its own; that its lease lapses meanwhile does.
"""

from typing import Literal, NamedTuple, TypeVar

from tests.model.story import Story

T = TypeVar("T")

FINAL = frozenset({"filled", "closed", "denied", "rejected", "ignored", "superseded"})
REPLAYABLE = frozenset({"denied", "rejected"})
OWED = "owed"

UNKNOWN = -1
"""In place of a server: the account was never begun, or it is not known that it was."""

Entry = tuple[int, int]
"""An entry id: (server that took it, index of its fact). It rises as ids made of the time do."""


class Rules(NamedTuple):
    """What keeps the protocol right. Every field can be turned over, to see that it is needed."""

    search: bool = True
    search_before_guards: bool = True
    fence_checks_lease: bool = True
    commit_checks_lease: bool = True
    commit_checks_end: bool = True
    done_writes_nothing: bool = True
    asks_when_stated_again: bool = True
    version: bool = True
    commit_checks_pending: bool = True
    return_to_gap: bool = True
    totals: bool = True
    notice_new_server: bool = True
    suspect_even_if_the_version_agrees: bool = True
    successor_is_suspect: bool = True
    grace: bool = True
    amount_from_terminal: bool = True
    not_after: bool = True
    exits_pass_parks: bool = True
    openings_wait: bool = True
    claim_on_gap: bool = True
    renewal_checks_version: bool = True
    parks_all_instruments: bool = False
    replay_checks_end: bool = True
    replay_looks: bool = True
    replay_at_present_size: bool = True
    replay_note_raises_version: bool = True
    replay_remembered: bool = True
    resolve_looks: bool = True
    resolve_waits: bool = True
    removal_remembered: bool = True
    probes: bool = True
    passed_is_suspect: bool = True
    takes_back: bool = True
    takes_delivered: bool = True
    remembers_parks: bool = True
    ends_by_memory: bool = True
    looks_back: bool = True
    stop_is_sealed: bool = True
    taking_writes: bool = False
    """A take-over raises the version: an executor tells the archive what it has found. Nothing rests on it."""


class Config(NamedTuple):
    """One configuration: the story, how many accounts and executors, and which faults, at most `faults` of them.

    Not `begun`: no executor has ever had an account, and the first one's first write can be lost as any other. `wary`:
    lanes recover as the executor does, which trusts its sealed memory alone; it matters where a thief is about.
    """

    story: Story
    faults: int
    allowed: frozenset[str]
    accounts: int = 1
    executors: int = 2
    act_on: str = "accept"
    preloaded: int = 0
    begun: bool = True
    may_close_only: bool = False
    late_beyond_grace: bool = False
    grace_ends: bool = True
    replays: int = 0
    may_resolve: bool = False
    wary: bool = False
    rules: Rules = Rules()


class Link(NamedTuple):
    """One source position's part of the account: `own` is what there is of it, `target` what there should be, and the
    base of what later facts make of it. `followed` is None until the first fact of it was decided."""

    own: int = 0
    target: int = 0
    ticket: int = -1
    followed: int | None = None
    revision: int = 0


class Debt(NamedTuple):
    """An exit to be done: down to `target`, from `own` at its birth. `born` (a fact) gives the mark.

    `newest` is the fact whose outcome waits for it; None when that is a parked reversal.
    """

    own: int
    target: int
    born: int
    newest: int | None


class Asked(NamedTuple):
    """What an operator asked for: that a fact is tried again under `mark`, or (`ends`) that it ends by hand.

    `planned` is the total and the revision of the source that a lane decided to open.
    """

    fact: int
    mark: int = -1
    planned: tuple[int, int] | None = None

    @property
    def ends(self) -> bool:
        """Whether it is to end by hand."""
        return self.mark < 0


class Ledger(NamedTuple):
    """What Redis keeps of one account. `place` counts the facts passed; `ends` counts final outcomes per fact.

    `asked` is what an operator asked for and nobody has answered, `tried` names each fact as often as it was asked for.
    `base` counts the facts that were passed when the archive was told the whole last, `missing` are those that were not
    there when their turn came: then it is `stopped`. `server` is the one that was written to last, UNKNOWN before the
    first time. `sound`: it is what was sealed.
    """

    version: int
    place: int
    links: tuple[Link, ...]
    debts: tuple[Debt | None, ...]
    parks: tuple[Entry, ...]
    done: tuple[str, ...]
    ends: tuple[int, ...]
    server: int = 0
    suspect: int = 0
    mode: str = "active"
    asked: tuple[Asked, ...] = ()
    tried: tuple[int, ...] = ()
    base: int = 0
    missing: tuple[int, ...] = ()
    stopped: bool = False
    sound: bool = True
    forgotten: tuple[str, ...] = ()


class Group(NamedTuple):
    """One consumer group: how many entries were delivered, which of them are pending, and the account's ledger."""

    delivered: int
    pending: tuple[Entry, ...]
    ledger: Ledger


class Redis(NamedTuple):
    """The orders stream (the publisher's `last` is its length: both move in one script) and the groups.

    `gone` are the facts whose entry was removed from the stream.
    """

    stream: tuple[Entry, ...]
    groups: tuple[Group, ...]
    gone: tuple[int, ...] = ()


class Call(NamedTuple):
    """A request to the vendor. `mark` is the fact that it is for, `ticket` the opening that it closes (part of)."""

    kind: Literal["open", "close"]
    mark: int
    ticket: int
    volume: int
    whole: bool = False


class Terminal(NamedTuple):
    """One account at the broker: signed volume per ticket, executed volume per mark, requests left behind by the dead.

    What was opened under a mark once more is a position of its own: `doubled`, volume per mark.
    `excused` are openings whose refusal a failover forgot: they may be tried again late."""

    volume: tuple[int, ...]
    opened: tuple[int, ...]
    closed: tuple[int, ...]
    doubled: tuple[int, ...]
    left_behind: tuple[Call, ...] = ()
    newest_opening: int = -1
    excused: tuple[int, ...] = ()
    wrong: str = ""


class Work(NamedTuple):
    """What a lane is busy with: an entry just read or claimed, a parked entry, the debt of a link, or a fact that is to
    be tried again (`again`) or to end by hand (`end`)."""

    kind: Literal["entry", "park", "debt", "again", "end"]
    entry: Entry
    link: int
    fresh: bool


Phase = Literal["standby", "taken", "idle", "got", "ready", "fenced", "expired", "answered"]


class Lane(NamedTuple):
    """One executor's lane. `lease` is what Redis says, `memory` what the lane believes; `ripe` are the parked facts and
    debts (`debt_item`) that may be sent: their grace is over, or this lane knows that they never were. `tries` are the
    marks of what was to be tried again and may have been sent; `noted` is what this process remembers of it. `began`
    counts the facts that were in the stream when it took the lease, where that is looked at; `vanished` those that
    were delivered then, where some that were not passed were there no more."""

    phase: Phase = "standby"
    lease: bool = False
    memory: Ledger | None = None
    todo: tuple[Entry, ...] = ()
    ripe: tuple[int, ...] = ()
    work: Work | None = None
    call: Call | None = None
    answer: str = ""
    known: int = -1
    tries: tuple[int, ...] = ()
    noted: tuple[Asked, ...] = ()
    began: int = 0
    vanished: int = 0


class Account(NamedTuple):
    """The lanes that may serve one account and its terminal. `orphan_lease`: held by a process that died;
    `lease_survives`: the server that a failover brings back knows of the present lease."""

    lanes: tuple[Lane, ...]
    terminal: Terminal
    orphan_lease: bool = False
    lease_survives: bool = True


class World(NamedTuple):
    """Everything. `captured` and `believed` are the source's journal: how many facts it holds, how many it holds for
    published. `replica` is what a failover will bring back; `server` counts the failovers."""

    captured: int
    believed: int
    redis: Redis
    replica: Redis | None
    accounts: tuple[Account, ...]
    server: int
    faults: int
    asks: int = 0


def debt_item(link: int) -> int:
    """The name of a link's debt among the ripe items, where a fact's is its index."""
    return 100 + link


def try_item(mark: int) -> int:
    """The name of what is tried again among the ripe items."""
    return 200 + mark


def put(items: tuple[T, ...], i: int, value: T) -> tuple[T, ...]:
    """`items` with another value at `i`."""
    return (*items[:i], value, *items[i + 1 :])
