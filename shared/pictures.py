"""What Redis knows of a source: the newest fact of every living object, as the publish script keeps it, and who wrote
last.

Each fact stands there with its signature, and is believed only with a sound one: whoever states it again signs it anew.
"""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct
from redis.asyncio import Redis

from shared.facts import Fact, objects
from shared.streams import Keys
from shared.wire import Codec, Fields

WRITER = b"writer"


class SourcePicture(Struct, frozen=True):
    """`writer` is the producer of the last fact of the source, empty when none was ever published.

    `facts` are the newest of each living object, each once, in no order; `refused` names the objects whose fact has no
    sound signature, is not about them, or cannot be read. `positions` are those of positions alone: the newest fact of
    an order tells of its position as it was then, which may be over since.
    """

    writer: str
    facts: tuple[Fact, ...]
    refused: tuple[str, ...] = ()
    positions: tuple[Fact, ...] = ()


async def source_picture(redis: Redis, keys: Keys, codec: Codec, source: str) -> SourcePicture:
    """What the server knows of `source`. Raises redis errors."""
    stored = cast(Mapping[bytes, bytes], await redis.hgetall(keys.source("picture", source)))
    found: dict[str, Fact] = {}
    refused, positions = [], []
    for name, content in stored.items():
        if name == WRITER:
            continue
        fact, about = codec.fact(_fields(content)), name.decode("utf-8", "replace")
        if isinstance(fact, Fact) and fact.source == source and about in _names(fact):
            found[fact.id] = fact
            positions += [fact] if about == _names(fact)[0] else []
        else:
            refused.append(about)
    return SourcePicture(
        stored.get(WRITER, b"").decode("utf-8", "replace"),
        tuple(found.values()),
        tuple(refused),
        positions=tuple(positions),
    )


def _names(fact: Fact) -> list[str]:
    """The fields that a fact may stand in; its position's is the first."""
    return [f"{fact.account}/{name}" for name, _ in objects(fact)]


def _fields(content: bytes) -> Fields:
    key, signature, message = (*content.split(b" ", 2), b"", b"", b"")[:3]
    return {b"k": key, b"s": signature, b"m": message}
