"""What Redis knows of a source: the newest fact of every living object, as the publish script keeps it, and who wrote
last.

Each fact stands there with its signature, and is believed only with a sound one: whoever states it again signs it anew.
"""

from collections.abc import Mapping
from typing import cast

from msgspec import Struct
from redis.asyncio import Redis

from shared.facts import Fact
from shared.streams import Keys
from shared.wire import Codec, Fields

WRITER = b"writer"


class SourcePicture(Struct, frozen=True):
    """`writer` is the producer of the last fact of the source, empty when none was ever published.

    `facts` are the newest of each living object, each once, in no order; `refused` names the objects whose fact has no
    sound signature or cannot be read.
    """

    writer: str
    facts: tuple[Fact, ...]
    refused: tuple[str, ...] = ()


async def source_picture(redis: Redis, keys: Keys, codec: Codec, source: str) -> SourcePicture:
    """What the server knows of `source`. Raises redis errors."""
    stored = cast(Mapping[bytes, bytes], await redis.hgetall(keys.source("picture", source)))
    found: dict[str, Fact] = {}
    refused = []
    for name, content in stored.items():
        if name == WRITER:
            continue
        fact = codec.fact(_fields(content))
        if isinstance(fact, Fact) and fact.source == source:
            found[fact.id] = fact
        else:
            refused.append(name.decode("utf-8", "replace"))
    return SourcePicture(stored.get(WRITER, b"").decode(), tuple(found.values()), tuple(refused))


def _fields(content: bytes) -> Fields:
    key, signature, message = (*content.split(b" ", 2), b"", b"", b"")[:3]
    return {b"k": key, b"s": signature, b"m": message}
