"""Pure: what a commit changes in an account's memory, told on the outcomes stream, so that the archive has it too.

It goes with the outcome that the commit writes, else by itself. With all of it in their order, from the last time that
the whole was told, anybody can say what the account remembers now: that is what `restore` does.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Raw
from msgspec.structs import replace

from shared.outcomes import Kept, Memory, Message, Outcome, Pending, spans
from shared.wire import Place

FORGOTTEN = b"null"
WORTH_KEEPING = (
    "identity", "deals-told", "deals-counted", "deals-until", "day", "day-start", "peak", "explained", "joined",
)  # fmt: skip
"""Fields of the account's state that only Redis has. What an operator set is not among them: he is asked again."""

NOTHING = Memory()

Encoded = Mapping[str, bytes | None]
"""Links or debts in JSON by the link's key; None: forgotten."""


def remembering(
    account: str, messages: Sequence[Message], links: Encoded, debts: Encoded, passed: Place | None, now: datetime
) -> list[Message]:
    """The messages of a commit with what it changes in the memory, in the last one that can carry it."""
    told = list(messages)
    memory = Memory(links=_raw(links), debts=_raw(debts), passed=passed.seqs if passed else {})
    for number, message in reversed(list(enumerate(told))):
        if isinstance(message, Outcome | Pending) and memory != NOTHING:
            told[number] = replace(message, memory=memory)
            return told
    return [*told, Kept(account=account, seen=now, memory=memory)] if links or debts else told


def whole(
    account: str,
    links: Encoded,
    debts: Encoded,
    place: Place,
    state: Mapping[str, str],
    now: datetime,
    waiting: Iterable[tuple[str, int]] = (),
) -> Kept:
    """All that an account remembers; `waiting` are the facts that it has passed and that have no end."""
    memory = Memory(links=_raw(links), debts=_raw(debts), passed=place.seqs)
    return Kept(account=account, seen=now, memory=memory, whole=True, state=kept_of(state), lacking=spans(waiting))


def stated(account: str, state: Mapping[str, str], now: datetime) -> Kept:
    """What an account's state says from now on."""
    return Kept(account=account, seen=now, memory=NOTHING, state=kept_of(state))


def kept_of(state: Mapping[str, str]) -> dict[str, str]:
    """What of an account's state is told."""
    return {name: state[name] for name in WORTH_KEEPING if name in state}


def _raw(values: Encoded) -> dict[str, Raw]:
    return {key: Raw(FORGOTTEN if value is None else value) for key, value in values.items()}
