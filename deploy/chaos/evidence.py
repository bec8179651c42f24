"""What is left of a trial, asked from each side by itself: the streams, the accounts' keys, the terminals, the archive.

Entries are read as plain JSON: nothing in here knows the services' types.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, cast

from msgspec import Struct

from executor.mt5.simulator.client import connect
from executor.mt5.simulator.surface import Surface

FAR_AHEAD = 2**31 - 1
DIGITS = 8


class Deal(Struct, frozen=True):
    """One execution in a terminal's history; `lots` is signed."""

    mark: int
    order: int
    symbol: str
    lots: Decimal
    position: int


class Terminal(Struct, frozen=True):
    """One terminal: its history, what is open by (position, symbol, mark) in signed lots, and how many orders rest.

    `stops` are the stop losses of what is open, 0 where there is none.
    """

    deals: tuple[Deal, ...]
    open: Mapping[tuple[int, str, int], Decimal]
    resting: int
    stops: Mapping[tuple[int, str, int], Decimal] = {}


class Evidence(Struct, frozen=True, kw_only=True):
    """All sides. `facts` are the ids in the stream in their order, `pending` and `debts` how many each account has.

    `stated` are the facts themselves.
    """

    facts: tuple[str, ...]
    outcomes: tuple[Mapping[str, Any], ...]
    pending: Mapping[str, int]
    debts: Mapping[str, int]
    dead: tuple[str, ...]
    terminals: Mapping[str, Terminal]
    archived_facts: frozenset[str]
    archived_ends: tuple[tuple[str, str, int], ...]
    stated: tuple[Mapping[str, Any], ...] = ()


async def streams(redis: Any, namespace: str, accounts: Iterable[str]) -> Mapping[str, Any]:
    """What Redis has of a namespace, by the names of `Evidence`."""
    tag = f"tradecopier:{{{namespace}}}"
    orders = await redis.xrange(f"{tag}:orders")
    outcomes = await redis.xrange(f"{tag}:outcomes")
    dead = await redis.xrange(f"{tag}:dead")
    pending = {a: (await redis.xpending(f"{tag}:orders", a))["pending"] for a in accounts}
    stated = tuple(json.loads(fields[b"m"]) for _, fields in orders)
    return {
        "stated": stated,
        "facts": tuple(fact["id"] for fact in stated),
        "outcomes": tuple(json.loads(fields[b"m"]) for _, fields in outcomes),
        "pending": pending,
        "debts": {a: await redis.hlen(f"{tag}:debts:{a}") for a in accounts},
        "dead": tuple(fields.get(b"text", b"").decode() for _, fields in dead),
    }


def ends(outcomes: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How often each result ended an attempt; of what was not done, by its reason."""
    finals = (o for o in outcomes if o["kind"] == "outcome")
    refused = ("denied", "rejected")
    return dict(Counter(f"{o['result']} ({o['reason']})" if o["result"] in refused else o["result"] for o in finals))


def terminal(address: str, login: int, server: str) -> Terminal:
    """What a terminal answers over its own socket. Blocks. Raises OSError when it does not answer."""
    surface = Surface(connect)
    if not surface.initialize(address, login=login, server=server):
        raise OSError(f"the terminal at {address} does not answer: {surface.last_error()[1]}")
    try:
        positions, orders = surface.positions_get(), surface.orders_get()
        history = surface.history_deals_get(0, FAR_AHEAD)
    finally:
        surface.shutdown()
    if positions is None or orders is None or history is None:
        raise OSError("the terminal does not say what it holds")
    return Terminal(
        deals=tuple(
            Deal(d.magic, d.order, d.symbol, _signed(d.volume, d.type), d.position_id)
            for d in history
            if d.type in (0, 1)
        ),
        open={(p.identifier, p.symbol, p.magic): _signed(p.volume, p.type) for p in positions},
        resting=sum(order.type > 1 for order in orders),
        stops={(p.identifier, p.symbol, p.magic): round(Decimal(repr(p.sl)), DIGITS).normalize() for p in positions},
    )


def archive(dsn: str, namespace: str) -> Mapping[str, Any]:
    """The archive's rows of a namespace, by the names of `Evidence`. Blocks. Raises OSError while nobody answers."""
    import psycopg

    ends = "select account, fact, attempt from outcomes where namespace = %s and final"
    try:
        with psycopg.connect(dsn) as connection:
            facts = connection.execute("select id from facts where namespace = %s", [namespace]).fetchall()
            rows = connection.execute(ends, [namespace]).fetchall()
    except psycopg.OperationalError as error:
        raise OSError(f"the archive does not answer: {error}") from error
    return {
        "archived_facts": frozenset(row[0] for row in facts),
        "archived_ends": tuple(cast(list[tuple[str, str, int]], rows)),
    }


def _signed(volume: float, kind: int) -> Decimal:
    lots = round(Decimal(repr(volume)), DIGITS).normalize()
    return lots if kind == 0 else -lots
