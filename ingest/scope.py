"""Which hosts are ours to open, as the proxy and as a browser's PAC file need to be told; everything else stays
closed.
"""

import json
import re
from collections.abc import Iterable

from ingest.settings import OnProxyDown
from ingest.source import Source

Host = tuple[str, int]
"""A host's name and port."""

NOTHING = r"(?!)"
"""A pattern that no host matches: without any pattern the proxy would open everything."""

_PAPER = ("papertrading.tradingview.com", "papertrading-free.tradingview.com")
_PUSH = "pushstream.tradingview.com"


def hosts(source: Source) -> tuple[Host, ...]:
    """Where the source's traffic goes. Paper Trading has two, of which one is free, and its fills on a third."""
    names = (*_PAPER, _PUSH) if source.protocol == "paper" and source.host in _PAPER else (source.host,)
    return tuple((name, source.port) for name in names)


def patterns(opened: Iterable[Host]) -> list[str]:
    """Regular expressions that match exactly these hosts, as `name:port`; without any, one that matches nothing."""
    return [rf"^{re.escape(name)}:{port}$" for name, port in sorted(set(opened))] or [NOTHING]


def pac(opened: Iterable[Host], proxy: str, on_proxy_down: OnProxyDown) -> str:
    """A PAC file that sends these hosts, and no others, through the proxy at `proxy` (host:port).

    `direct`: a browser that finds the proxy down trades without us; `fail`: it cannot trade until the proxy is back.
    """
    way = f"PROXY {proxy}" + ("; DIRECT" if on_proxy_down == "direct" else "")
    names = json.dumps(sorted({said for name, _ in opened for said in _in_urls(name)}), indent=2)
    return (
        f"var tradingHosts = {names};\n\n"
        "function FindProxyForURL(url, host) {\n"
        f'  return tradingHosts.indexOf(host.toLowerCase()) >= 0 ? {json.dumps(way)} : "DIRECT";\n'
        "}\n"
    )


def _in_urls(name: str) -> tuple[str, ...]:
    """How a browser tells a PAC file of that host: some write an address of IPv6 with its brackets."""
    return (name, f"[{name}]") if ":" in name else (name,)
