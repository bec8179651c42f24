"""Whatever somebody has written into an account's keys: every command that looks says what it can in plain lines."""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import click
import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from redis import Redis
from redis.exceptions import ResponseError

from archiver.migrate import migrate
from deploy.cli import cli
from deploy.embedded import Valkey
from executor.asked import Replay
from executor.book import Debt, Link, Part, Pending
from executor.drift import Found
from shared.facts import Levels
from shared.vitals import AccountVitals, Position, SourceVitals
from tests.conftest import Database
from tests.deploy.archived import configured
from tests.executor.rig import ACCOUNT, CODEC, KEYS
from tests.shared.samples import placed

pytestmark = pytest.mark.timeout(300)

# Other seeds, and more examples, can be asked for; what is found is shrunk to the least that does it.
SEED = int(os.environ.get("TRADECOPIER_TEST_SEED", "1"))
EXAMPLES = int(os.environ.get("TRADECOPIER_TEST_EXAMPLES", "60"))
LONGEST_LINE = 4000
NOW = datetime.now(UTC)
LOTS = Decimal("0.1")
LINK = "demo/10001/a"
ENTRY = f"{int(time.time() * 1000) - 60_000}-0"

COMMANDS: Sequence[Sequence[str]] = (
    ("status",),
    ("status", "--json"),
    ("doctor",),
    ("dead-letters",),
    ("reconcile", "--account", ACCOUNT),
    ("account", "list"),
    ("account", "add", ACCOUNT),
    ("account", "remove", ACCOUNT),
    ("account", "remove", ACCOUNT, "--abandon"),
    ("account", "repoint", ACCOUNT, "--abandon"),
    ("account", "seal", ACCOUNT),
    ("replay", "--account", ACCOUNT, "--denied", "any", "--dry-run"),
    ("replay", "--account", ACCOUNT, "--unfinished", "--dry-run"),
    ("replay", "--account", ACCOUNT, "--dead", "--dry-run"),
    ("resolve", "--account", ACCOUNT, "--id", "f", "--as", "dead"),
    ("resolve", "--account", ACCOUNT, "--link", LINK, "--as", "closed"),
    ("restore", "--dry-run"),
    ("restore", "--account", ACCOUNT, "--dry-run"),
    ("pause", ACCOUNT, "--yes", "pause"),
    ("close-only", ACCOUNT),
    ("flatten", ACCOUNT, "--yes", "flatten"),
    ("resume", ACCOUNT),
    ("key", "list"),
    ("archiver", "status"),
    ("archiver", "verify"),
)
"""Where one asks, it is told no."""

part = Part(ticket=1, identifier=1, volume=LOTS, side="buy", mark=1)
pending = Pending(ticket=2, type="limit", side="buy", volume=LOTS, price=LOTS)
HONEST: Mapping[str, object] = {
    "links": Link(
        key=LINK, instrument="EURUSD", symbol="EURUSD", parts=(part,), pendings={"o": pending}, levels=Levels()
    ),
    "debts": Debt(link=LINK, fact="f", entry=ENTRY, target=LOTS, since=NOW, captured=NOW, reason="closed"),
    "drift": Found(
        identity="left-open:a", what="left-open", position=LINK, symbol="EURUSD", expected=LOTS, actual=LOTS,
        text="text", remedy="close it", since=NOW,
    ),
    "vitals": AccountVitals(
        at=NOW + timedelta(hours=1), condition="active", since=NOW, why="why", connected=True, algo=True, ping=0.1,
        identity="1@Demo", margin="hedging", currency="EUR", equity=LOTS, balance=LOTS, unresolved=1, owed=1,
        oldest=60.0, used={"EURUSD": 0.5}, drift=("text",), filling={"EURUSD": ("fok",)}, unmapped=("XAU",),
        positions=(Position(link=LINK, instrument="EURUSD", symbol="EURUSD", lots=LOTS, followed=LOTS),),
    ),
    "source-vitals": SourceVitals(
        at=NOW + timedelta(hours=1), owned=True, waiting=1, polled=NOW, blind=True, untold=("text",), unwritten=1,
        held_back=("text: do that",),
    ),
}  # fmt: skip

DEEP = '{"x":' + "[" * 3000 + "]" * 3000 + "}"
MOMENTS = (
    "2026-11-26T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T23:59:59Z",
)  # fmt: skip
NUMBERS = ("NaN", "sNaN", "-Infinity", "1e999999", "0e-999999", "1e-999999", "9" * 400)
KINDS: Mapping[str, Sequence[str]] = {r"\d+-\d+-\d+T.*": MOMENTS, r"-?\d+(\.\d+)?": NUMBERS}
"""What is nearly what stood there."""
SCALARS: Sequence[Any] = (
    None, True, -1, 10**30, 10**4000, 1e300, -1e300, 0.5, [], {}, "", "x", "\n\x1b[2J\u202e", "\0", "\ud800",
    *MOMENTS, *NUMBERS,
)  # fmt: skip
WORDS: Sequence[bytes] = (
    b"", b"\xff", b"\0", b"-1", b"0", b"1", b"9" * 30, b"9" * 5000, b"1e5", b"nan", "\u0663".encode(),
    "\u00b2".encode(),
    b"0-0", b"1-1", b"-", b"+", b"5-x", b"9" * 20 + b"-" + b"9" * 20, b"9" * 30 + b"-0", ENTRY.encode(), b"a b c",
    b"\n\x1b[2Jred", b"{", b"[]", b"null", DEEP.encode(), b'"\xff"', b"x" * 5000, b"active", b"halted",
    b"close-only",
    b"filled 1 1-0", b"denied \xff 1-0", b"k1 ", b"k1 x y", b"k\xff x y", b"9999-12-31", b"2026-11-26T00:00+00:00",
)  # fmt: skip


def places(value: Any) -> Iterator[list[Any]]:
    """Where something stands in it, as the keys that lead there."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield [key]
        yield from ([key, *deeper] for deeper in places(inner))


@st.composite
def broken(draw: st.DrawFn, honest: object) -> bytes:
    """What we would have written, with one or two things changed in it."""
    content = json.loads(msgspec.json.encode(honest))
    for _ in range(draw(st.integers(1, 2))):
        where = draw(st.sampled_from([*places(content)]))
        inner = content
        for key in where[:-1]:
            inner = inner[key]
        like = [each for each in KINDS if re.fullmatch(each, str(inner[where[-1]]))]
        nearly: bool = draw(st.booleans())
        others: Sequence[Any] = KINDS[like[0]] if like and nearly else SCALARS
        inner[where[-1]] = deepcopy(draw(st.sampled_from(others)))
    raw = json.dumps(content, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    return raw[: draw(st.integers(0, len(raw)))] if draw(st.integers(0, 9)) == 0 else raw


word = st.sampled_from(WORDS) | st.binary(max_size=12)
FIELDS: Mapping[str, Sequence[bytes]] = {
    "place": (b"entry", b"version", b"seal", b"seq:p", b"seq:\xff", b"detached", b"unread", b"before", b"\xff"),
    "state": (
        b"mode", b"reason", b"identity", b"removed", b"server", b"suspect-before", b"flatten", b"rearm", b"flattened",
        b"rearmed", b"day", b"day-start", b"peak", b"explained", b"deals-told", b"joined", b"told-mode", b"before",
        b"\xff",
    ),
    "links": (LINK.encode(), b"\xff"),
    "debts": (LINK.encode(), b"\xff"),
    "drift": (b"left-open:a", b"\xff", b"\n"),
    "done": (b"f#1", b"f#x", b"f#" + b"9" * 5000, b"#", b"\xff#1", "f#\u00b2".encode()),
    "replay": (b"fact:f", b"end:fact:f", b"mend", b"\xff"),
}  # fmt: skip
Write = tuple[str, bytes, bytes | None, bytes]
"""How, under which key, in which field, what."""


def key(part: str, account: bytes = ACCOUNT.encode()) -> bytes:
    return KEYS.account(part, "").encode() + account


@st.composite
def hashed(draw: st.DrawFn) -> Write:
    part = draw(st.sampled_from([*FIELDS]))
    account = draw(st.sampled_from([ACCOUNT.encode(), ACCOUNT.encode(), b"\xff", b"\n\x1b[2J"]))
    value = word | broken(HONEST[part]) if part in HONEST else word
    return "hset", key(part, account), draw(st.sampled_from(FIELDS[part])), draw(value)


told = st.tuples(
    st.just("set"), st.just(key("vitals")), st.none(), word | broken(HONEST["vitals"])
)  # fmt: skip
told_of_source = st.tuples(
    st.just("set"),
    st.just(KEYS.source("vitals", "demo").encode()),
    st.none(),
    word | broken(HONEST["source-vitals"]),
)
of_source = st.tuples(
    st.just("hset"),
    st.sampled_from([KEYS.source(part, "demo").encode() for part in ("picture", "memory")]),
    word,
    word,
) | st.tuples(st.just("hset"), st.just(KEYS.producers.encode()), st.sampled_from([b"rig", b"\n"]), word)
kind = st.tuples(
    st.sampled_from(["as text", "as a list"]),
    st.sampled_from([key(part) for part in (*FIELDS, "vitals", "lease")]),
    st.none(),
    word,
)
entries = st.tuples(
    st.sampled_from(["add", "add at the end of time"]),
    st.sampled_from([KEYS.orders.encode(), KEYS.outcomes.encode(), KEYS.dead.encode()]),
    st.sampled_from([b"m", b"k", b"s", b"reader", b"entry", b"reason", b"text", b"\xff"]),
    word,
)
grouped = st.tuples(
    st.sampled_from(["group", "consumer"]),
    st.sampled_from([KEYS.orders.encode(), KEYS.outcomes.encode()]),
    st.none(),
    st.sampled_from([b"\xff", b"\n\x1b[2J", b"a\0b", b"x" * 1000]),
)
gone = st.just(("no group", KEYS.orders.encode(), None, b""))
writes = st.lists(
    hashed() | hashed() | hashed() | told | told_of_source | of_source | kind | entries | grouped | gone,
    min_size=1,
    max_size=5,
)


def scribble(redis: Redis, write: Write) -> None:
    """Write as somebody would who may write anything."""
    how, name, field, value = write
    match how:
        case "hset":
            redis.delete(name) if redis.type(name) != b"hash" else None
            redis.hset(name, field or b"", value)
        case "set":
            redis.set(name, value)
        case "as text":
            redis.set(name, value)
        case "as a list":
            redis.delete(name)
            redis.rpush(name, value)
        case "add":
            redis.xadd(name, {field or b"m": value, b"reader": ACCOUNT.encode()})
        case "add at the end of time":
            at = f"{2**64 - 2}-*"
            redis.xadd(name, {field or b"m": value}, id=at)
        case "group":
            redis.xgroup_create(name, value, id="0")
        case "consumer":
            redis.xreadgroup(ACCOUNT, cast(Any, value), {name: ">"}, count=1)
        case "no group":
            redis.xgroup_destroy(name, ACCOUNT)


def begin(redis: Redis) -> None:
    """An account with all that it could remember."""
    redis.flushall()
    for stream in (KEYS.orders, KEYS.outcomes):
        redis.xgroup_create(stream, ACCOUNT, id="0", mkstream=True)
        redis.xgroup_create(stream, "archiver", id="0")
    redis.hset(key("place"), mapping={"entry": ENTRY, "version": "3", "seq:p": "1"})
    redis.hset(key("state"), mapping={"mode": "active", "identity": "1@Demo", "server": "x"})
    for part in ("links", "debts", "drift"):
        redis.hset(key(part), FIELDS[part][0], msgspec.json.encode(HONEST[part]))
    redis.set(key("vitals"), msgspec.json.encode(HONEST["vitals"]))
    redis.set(KEYS.source("vitals", "demo"), msgspec.json.encode(HONEST["source-vitals"]))
    denied = placed(captured=NOW - timedelta(minutes=5))
    redis.xadd(KEYS.orders, cast(Any, CODEC.entry("orders", denied)), id=ENTRY)
    redis.xreadgroup(ACCOUNT, "lane", {KEYS.orders: ">"}, count=1)
    redis.xack(KEYS.orders, ACCOUNT, ENTRY)
    redis.hset(key("done"), f"{denied.id}#1", f"denied 1 {ENTRY}")
    request = Replay(fact="f", entry=ENTRY, attempt=2, asked=NOW, m="", k="", s="")
    redis.hset(key("replay"), "fact:f", CODEC.seal(f"replay:{ACCOUNT}", msgspec.json.encode(request)))


def said(config: Path, words: Sequence[str]) -> str:
    """What a command says when it is told no."""
    result = CliRunner().invoke(cli, ["--config", str(config), *words], input="n\n")
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 1, 2), result.output
    return result.output


@pytest.fixture
def config(valkey: Valkey, postgres: Database, tmp_path: Path) -> Path:
    migrate(postgres.dsn)
    return configured(tmp_path, valkey.url, postgres.dsn)


def test_every_command_says_what_it_can_in_plain_lines(config: Path, valkey: Valkey) -> None:
    """Of an account about which anything can stand in Redis, one to five strange things at a time."""
    redis = Redis.from_url(valkey.url)

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=[*HealthCheck],
    )
    @given(writes, st.lists(st.sampled_from(COMMANDS), min_size=3, max_size=3, unique=True))
    def scribbled(written: list[Write], asked: list[Sequence[str]]) -> None:
        begin(redis)
        for write in written:
            with suppress(ResponseError):  # not even a stranger can add below the end of a stream
                scribble(redis, write)
        for words in asked:
            lines = said(config, words).splitlines()
            assert lines, words
            for line in lines:
                assert click.unstyle(line).isprintable(), (words, line)
                assert len(line) < LONGEST_LINE, (words, line[:200])

    scribbled()
    redis.close()
