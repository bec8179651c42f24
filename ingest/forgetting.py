"""What a picture forgets, so that it neither grows for ever nor makes a call cost what there ever was.

What lives is never forgotten. Of what has ended so much is remembered as a poll may still speak of; names that the
source has used are remembered longer, but set aside, where reading and keeping the picture does not touch them.
"""

from collections.abc import Sized
from datetime import datetime
from typing import Any

from ingest.desk import PATIENCE, Desk

MEMORY = 100
"""How many ended orders, positions and brackets, and applied calls, are remembered."""
NAMES = 10_000
"""How many names that the source has used are remembered in all."""
SLACK = 30
"""So many more may there be before somebody looks for the oldest: looking costs more than keeping."""
FRESH = 2 * PATIENCE
"""What has ended so shortly before the newest end is never forgotten, for a poll may still be on its way."""


def prune(desk: Desk) -> None:
    """Forget the oldest of what has ended."""
    touched = vars(desk)
    if "orders" in touched and _is_long(desk.orders):
        ended = {name: None if o.sure else o.ended or o.since for name, o in desk.orders.items() if not o.live}
        _forget_ended(desk.orders, ended)
    if "positions" in touched and len(desk.positions) > 2 * MEMORY + SLACK:
        named = {order.position for order in desk.orders.values()}
        over = [(key, p) for key, p in desk.positions.items() if p.over and key not in named]
        _forget_ended(desk.positions, {key: p.moved or p.since if p.shown else None for key, p in over})
    if "brackets" in touched and _is_long(desk.brackets):
        _forget(desk.brackets, [name for name, bracket in desk.brackets.items() if not bracket.live], MEMORY)
    if "flows" in touched and _is_long(desk.flows):
        _forget(desk.flows, list(desk.flows), MEMORY)
    if "links" in touched and len(desk.links) > NAMES + SLACK:
        _forget(desk.links, list(desk.links), NAMES)
    if "uses" in touched and _is_long(desk.uses):
        _set_aside(desk)


def _is_long(found: Sized) -> bool:
    return len(found) > MEMORY + SLACK


def _forget_ended(found: dict[str, Any], ended: dict[str, datetime | None]) -> None:
    """`ended` says, the oldest names first, when what has ended did; `None`: polls have confirmed it."""
    if _is_long(ended):
        fresh = max((at for at in ended.values() if at), default=None)
        oldest = list(ended.items())[:-MEMORY]
        _forget(found, [name for name, at in oldest if at is None or fresh is None or at < fresh - FRESH], 0)


def _forget(found: dict[str, Any], names: list[str], but: int) -> None:
    for name in names[: max(0, len(names) - but)]:
        del found[name]


def _set_aside(desk: Desk) -> None:
    oldest = list(desk.uses)[:-MEMORY]
    names = {**desk.used, **{name: desk.uses.pop(name) for name in oldest}}
    desk.used = dict(list(names.items())[-NAMES:]) if len(names) > NAMES else names
