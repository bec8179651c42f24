"""What the settings say about one source: which traffic is its own, and how its quantities and positions are meant.

A source is one protocol at one host; it has one source account, or several when `account` is `*`.
"""

import re
from ipaddress import AddressValueError, IPv6Address
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


_PLACE = re.compile(r"(\[[^]]*\]|[^:]*)(?::(.*))?", re.DOTALL)


def parse_host(text: str) -> tuple[str, int, tuple[str, ...]]:
    """Take `name[:port][/prefix]` apart into host, port and path segments; ValueError says what is wrong.

    The name may be an address; one of IPv6 stands in brackets, and is given without them as browsers write it.
    """
    if "://" in text:
        raise ValueError(f"'{text}' is an address: leave out {text.partition('://')[0]}://")
    place, _, prefix = text.partition("/")
    found = _PLACE.fullmatch(place)
    name, port = (found[1], found[2]) if found else ("", None)
    if not name or any(c in name for c in "*@?#% \t"):
        raise ValueError(f"'{text}' is not a host: write name[:port][/prefix], an IPv6 address in brackets")
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"'{port}' is not a port")
    return _plain(name), int(port or 443), tuple(s for s in prefix.split("/") if s)


def _plain(name: str) -> str:
    """A name in lower case; an address of IPv6 in its shortest form."""
    if not name.startswith("["):
        return name.lower()
    try:
        return IPv6Address(name[1:-1]).compressed
    except AddressValueError as error:
        raise ValueError(f"'{name}' is not an address of IPv6") from error
