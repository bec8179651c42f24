"""Who can reach an address that we listen on: this machine alone, or others too."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine reach it. A name other than `localhost` may be anything, so it is not."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
