"""Who may do what in Redis: a user for each service, with the fewest commands and keys that it works with.

A grant is a set of commands on a set of keys. The first grant of a user also has the commands that need no key; the
others are selectors of Redis 7, each of which counts by itself: an executor may add to the outcomes and read the
orders, and not the other way round. What a script does on the server is checked command by command as well, so
`evalsha` alone permits nothing. Groups are no keys: users that read one stream could acknowledge for each other, which
readers notice by the sequence.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from shared.streams import Keys

ACCOUNT_PARTS = ("links", "debts", "done", "place", "state", "lease", "replay", "drift", "vitals")
SOURCE_PARTS = ("picture", "memory", "lease", "vitals")
"""Every key of one account, and of one source. A test compares them with the code."""

ANYONE = ("ping", "select", "info", "time", "cluster|nodes")
"""Needs no key and tells nothing but how the server is."""
SCRIPTS = ("script|load",)
READS = ("get", "hget", "hmget", "hgetall", "hexists", "pttl")
WRITES = ("set", "pexpire", "del", "hset", "hdel", "hincrby")
LOOKS = ("xlen", "xpending", "xinfo|groups")
PERSON = ("@hash", "@string", "@stream", "@transaction", "evalsha", "del", "exists", "type", "scan")
PERSON_TOO = ("pexpire", "pttl", "memory|usage", "acl|dryrun")
ADMIN, DEFAULT = "admin", "default"
NOBODY = f"user {DEFAULT} reset off ~* &* +@all"
"""Who has no password is switched off, but keeps every right: Redis, and Valkey before 9, read their append-only file
with the rights of `default`, and without them throw away what transactions and scripts had written.
"""
NOBODY_BEFORE = f"user {DEFAULT} reset off"
"""What this file said before that was known."""


class Grant(Struct, frozen=True):
    """Commands, and the keys on which they may be used; a key pattern with `%R~` before it may only be read."""

    commands: tuple[str, ...]
    keys: tuple[str, ...] = ()

    def rules(self) -> str:
        """As Redis writes it."""
        patterns = [key if key.startswith("%") else f"~{key}" for key in self.keys]
        return " ".join([*(f"+{command}" for command in self.commands), *patterns])


class User(Struct, frozen=True, kw_only=True):
    """One user: `does` says in words what for."""

    name: str
    does: str
    grants: tuple[Grant, ...]
    channels: str = ""

    def line(self, password: str) -> str:
        """The user's line in an ACL file; it has the password's hash. Behind `ACL SETUSER` it does the same."""
        digest = hashlib.sha256(password.encode()).hexdigest()
        root, *selectors = (grant.rules() for grant in self.grants)
        rules = [root, *(f"({rule})" for rule in selectors), *([self.channels] if self.channels else [])]
        return f"user {self.name} reset on #{digest} {' '.join(rules)}"


def users(keys: "Keys", sources: Iterable[str], accounts: Sequence[str]) -> tuple[User, ...]:
    """All users of a namespace. An executor of its own has `executor.ACCOUNT`, one for all of them `executor`."""
    each = [executor(keys, f"executor.{name}", f"copies to {name}", [name]) for name in accounts]
    together = executor(keys, "executor", "copies to every account", ["*"])
    return (ingest(keys, sources), *each, together, archiver(keys), status(keys), operator(keys))


def ingest(keys: "Keys", sources: Iterable[str]) -> User:
    """May publish, and keep what is known of its sources."""
    own = tuple(keys.source(part, source) for source in sources for part in SOURCE_PARTS)
    return User(
        name=f"{keys.namespace}.ingest",
        does="publishes facts",
        grants=(
            Grant((*ANYONE, *SCRIPTS, *READS, *WRITES), own),
            Grant(("evalsha",), (*own, keys.orders, keys.producers)),
            Grant(("hget", "hset"), (keys.producers,)),
            Grant(("xadd",), (keys.orders,)),
            Grant(("xrange",), (_read(keys.orders),)),
        ),
    )


def executor(keys: "Keys", name: str, does: str, accounts: Sequence[str]) -> User:
    """May read and acknowledge facts, tell outcomes, and write the memory of its own accounts."""
    own = tuple(keys.account(part, account) for account in accounts for part in ACCOUNT_PARTS)
    streams = (keys.orders, keys.outcomes)
    return User(
        name=f"{keys.namespace}.{name}",
        does=does,
        grants=(
            Grant((*ANYONE, *SCRIPTS, *READS, *WRITES, "multi", "exec"), own),
            Grant(("evalsha",), (*own, *streams, keys.dead)),
            Grant(("xreadgroup", "xack", "xclaim", "xpending", "xrange", "xgroup|create"), (keys.orders,)),
            Grant(("xadd",), (keys.outcomes, keys.dead)),
            Grant(LOOKS, (*map(_read, streams), _read(keys.dead))),
            Grant(("hgetall", "hget"), (_read(keys.source("picture", "*")),)),
            Grant(("hmget",), (_read(keys.producers),)),
            Grant(("get",), (_read(keys.source("vitals", "*")),)),
        ),
    )


def archiver(keys: "Keys") -> User:
    """May read, acknowledge and trim both streams, forget the marks of what has left them, and detach whom nobody reads
    for.
    """
    streams, done = (keys.orders, keys.outcomes), keys.account("done", "*")
    reading = ("xreadgroup", "xautoclaim", "xack", "xrange", "xgroup|create", "exists", "memory|usage")
    return User(
        name=f"{keys.namespace}.archiver",
        does="archives and trims",
        grants=(
            Grant((*ANYONE, "scan", "hscan", "hdel", "memory|usage"), (done,)),
            Grant((*reading, *LOOKS, "xtrim"), streams),
            Grant(("xinfo|consumers", "xgroup|destroy"), (keys.orders,)),
            Grant(("hset", "hget"), (keys.account("place", "*"),)),
            Grant(("xadd",), (keys.dead,)),
            Grant(("hgetall",), (_read(keys.producers),)),
        ),
    )


def status(keys: "Keys") -> User:
    """May look on: for `status` and `doctor` on a screen that others see too."""
    streams = tuple(map(_read, (keys.orders, keys.outcomes, keys.dead)))
    vitals = (_read(keys.account("vitals", "*")), _read(keys.source("vitals", "*")))
    return User(
        name=f"{keys.namespace}.status",
        does="looks on",
        grants=(
            Grant(("get", *ANYONE), vitals),
            Grant((*LOOKS, "xrevrange"), streams),
            Grant(("hget", "hmget"), (_read(keys.account("state", "*")),)),
            Grant(("hgetall",), (_read(keys.source("picture", "*")),)),
        ),
    )


def operator(keys: "Keys") -> User:
    """May do what a person's commands do: everything with this namespace's keys, nothing with the server."""
    commands = (*PERSON, *PERSON_TOO, *ANYONE, *SCRIPTS)
    return User(
        name=f"{keys.namespace}.operator",
        does="the commands of a person: pause, flatten, resume, account, replay, restore, prepare …",
        grants=(Grant(commands, (f"{keys.orders.removesuffix('orders')}*",)),),
    )


def everything(name: str = ADMIN) -> User:
    """May do everything, also with the server itself."""
    return User(name=name, does="everything", grants=(Grant(("@all",), ("*",)),), channels="&*")


def merged(before: str, lines: Mapping[str, str], namespace: str) -> str:
    """An ACL file with `lines` (by user) in it: what it says of others stays, users of the namespace that are gone go.

    Without a word about `default`, who is everybody without a password, that user is switched off.
    """
    before = before.replace(f"{NOBODY_BEFORE}\n", f"{NOBODY}\n")
    kept = {_name(line): line for line in before.splitlines() if line.startswith("user ")}
    others = {name: line for name, line in kept.items() if not name.startswith(f"{namespace}.")}
    return "".join(f"{line}\n" for line in ({DEFAULT: NOBODY} | others | dict(lines)).values())


def _read(key: str) -> str:
    return f"%R~{key}"


def _name(line: str) -> str:
    return line.split()[1]
