"""Pure: which disagreements are certain, because they stayed the same for a while, and which of those are over.

A disagreement counts when it was seen again, unchanged, after `STEADY`: what was only on its way is gone by then. It is
over when it could be seen and was not. What cannot be seen at a moment neither begins nor ends then.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from executor.drift import Found

STEADY = timedelta(seconds=3)


class Steady(Struct, frozen=True, kw_only=True):
    """What is known by now: `certain` ones were told and are not over, `open` ones were seen and may still pass."""

    certain: Mapping[str, Found] = {}
    open: Mapping[str, Found] = {}


class Turn(Struct, frozen=True, kw_only=True):
    """What a look has changed: `began` and `ended` are to be told, `changed` is certain already and reads anew."""

    after: Steady
    began: tuple[Found, ...] = ()
    ended: tuple[Found, ...] = ()
    changed: tuple[Found, ...] = ()


def turned(known: Steady, seen: Collection[Found], unseen: Collection[str], now: datetime) -> Turn:
    """What is known after a look at `now` (UTC) that found `seen` and could not judge `unseen` (identities)."""
    found = {each.identity: each for each in seen}
    certain = {k: f for k, f in known.certain.items() if k in found or k in unseen}
    changed, began, still_open = [], [], {}
    for identity, fresh in found.items():
        if identity in certain:
            kept = replace(fresh, since=certain[identity].since)
            changed += [kept] if kept != certain[identity] else []
            certain[identity] = kept
            continue
        before = known.open.get(identity)
        still_open[identity] = before if before is not None and _same(before, fresh) else fresh
        if now - still_open[identity].since >= STEADY:
            began.append(still_open.pop(identity))
    kept_open = {k: f for k, f in known.open.items() if k in unseen and k not in found}
    certain |= {f.identity: f for f in began}
    return Turn(
        after=Steady(certain=certain, open=still_open | kept_open),
        began=tuple(began),
        ended=tuple(f for k, f in known.certain.items() if k not in certain),
        changed=tuple(changed),
    )


def _same(one: Found, two: Found) -> bool:
    return replace(one, since=two.since) == two
