"""Pure: what an operator orders of a lane beside a state, signed, so that nobody without the signing key has an account
flattened or its limits on losses begin anew.

An order bears the moment at which it was made; one that is not later than the last that was carried out is done, so an
old one that somebody has kept is not carried out again.
"""

from collections.abc import Mapping
from typing import Literal

from shared.wire import Codec

What = Literal["flatten", "rearm"]
DONE: Mapping[What, str] = {"flatten": "flattened", "rearm": "rearmed"}
"""The fields of the account's state that say up to which moment orders were carried out."""
LONGEST = 20
"""More digits than any moment in microseconds has."""


def signed(codec: Codec, account: str, what: What, moment: int) -> str:
    """An order as it stands in the account's state; `moment` is in microseconds by the server's clock."""
    return codec.seal(_scope(account, what), str(moment).encode()).decode()


def ordered(codec: Codec, account: str, what: What, kept: str) -> int:
    """The moment of an order in the account's state; 0 when there is none, or none of ours."""
    content = codec.opened(_scope(account, what), kept.encode()) or b""
    return int(content) if content.isdigit() and len(content) <= LONGEST else 0


def said(kept: str) -> int:
    """The moment that an order bears, whoever has signed it, or nobody: versions before this one signed none."""
    last = kept.rpartition(" ")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) <= LONGEST else 0


def all_done(moment: int) -> dict[str, str]:
    """What the state says when no order of `moment` (microseconds) or before is to be carried out any more."""
    return {field: str(moment) for field in DONE.values()}


def _scope(account: str, what: What) -> str:
    return f"{what}:{account}"
