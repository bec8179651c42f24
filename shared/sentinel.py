"""Pure: what a Sentinel says of the primary of a service."""

from collections.abc import Sequence

from msgspec import Struct


class Primary(Struct, frozen=True):
    """Where the primary is, and the epoch in which it became one: the higher, the newer."""

    address: tuple[str, int]
    epoch: int


def primary(reply: Sequence[bytes]) -> Primary:
    """The reply to SENTINEL MASTER: names and values in turn."""
    told = {name.decode(): value.decode() for name, value in zip(reply[::2], reply[1::2], strict=True)}
    return Primary((told["ip"], int(told["port"])), int(told["config-epoch"]))
