"""What the settings say about one source: which traffic is its own, and how its quantities and positions are meant.

A source is one protocol at one host; it has one source account, or several when `account` is `*`.
"""

from typing import Literal

from msgspec import Struct

from shared.facts import Model, Unit

Protocol = Literal["broker-rest", "paper"]


class Source(Struct, frozen=True, kw_only=True):
    """One configured source. `prefix` are the path segments before `/accounts`; `auto` means: as the source says."""

    name: str
    host: str
    protocol: Protocol = "broker-rest"
    port: int = 443
    prefix: tuple[str, ...] = ()
    account: str = "*"
    quantity_unit: Unit | Literal["auto"] = "auto"
    positions: Model | Literal["auto"] = "auto"

    def owns(self, account: str) -> bool:
        """Whether this source follows the source account of that name."""
        return bool(account) and self.account in ("*", account)


def parse_host(text: str) -> tuple[str, int, tuple[str, ...]]:
    """Take `name[:port][/prefix]` apart into host, port and path segments; ValueError says what is wrong."""
    if "://" in text:
        raise ValueError(f"'{text}' is an address: leave out {text.partition('://')[0]}://")
    place, _, prefix = text.partition("/")
    name, colon, port = place.partition(":")
    if not name or any(c in name for c in "*@?# \t"):
        raise ValueError(f"'{text}' is not a host: write name[:port][/prefix]")
    if colon and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"'{port}' is not a port")
    return name.lower(), int(port or 443), tuple(s for s in prefix.split("/") if s)
