"""Pure: the nodes of a Redis Cluster as one of them tells of them, and the slot of a namespace.

All keys of a namespace have the same hash tag, so they are in one slot and on one node; namespaces spread over the
slots.
"""

from collections.abc import Iterator

from msgspec import Struct
from redis.crc import key_slot


class Node(Struct, frozen=True):
    """A node of a cluster: ranges of slots, both ends included, and the epoch of its claim on them."""

    address: tuple[str, int]
    epoch: int
    slots: tuple[tuple[int, int], ...]

    def owns(self, slot: int) -> bool:
        """Whether it takes writes to this slot."""
        return any(first <= slot <= last for first, last in self.slots)


def slot(namespace: str) -> int:
    """The slot of everything that has this namespace as its hash tag."""
    return int(key_slot(f"{{{namespace}}}".encode()))


def nodes(text: str, asked: str) -> Iterator[Node]:
    """The reply to CLUSTER NODES: those that can be reached. `asked` is the host that gave it.

    A node that does not know its own host yet leaves it out.
    """
    for line in text.splitlines():
        _, where, flags, _, _, _, epoch, _, *words = line.split()
        if {"noaddr", "handshake"} & set(flags.split(",")):
            continue
        slots = tuple(_range(word) for word in words if not word.startswith("["))
        yield Node(_address(where, asked), int(epoch), slots)


def _address(where: str, asked: str) -> tuple[str, int]:
    """`host:port@bus`, then the announced name and other things, with commas between."""
    server, *names = where.split(",")
    host, _, port = server.partition("@")[0].rpartition(":")
    announced = names[0] if names and "=" not in names[0] else ""
    return announced or host or asked, int(port)


def _range(word: str) -> tuple[int, int]:
    first, _, last = word.partition("-")
    return int(first), int(last or first)
