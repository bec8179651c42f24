"""Which sources a request may be a trading call of, remembered by what decides it: every call asks before it goes on.

The protocols say it (`ingest.picture.trades`). Where Broker REST is spoken, the answer is the same for all objects of
one kind: what is placed is decided by the path, what is changed or taken back by all but the path's last segment.
Whether we own a source changes from one moment to the next, and is not asked here.
"""

from collections.abc import Iterable, Mapping

from ingest import picture as pictures
from ingest.exchange import Exchange
from ingest.scope import Host, hosts
from ingest.source import Source

ROUTES = 256
"""So many are remembered; a page that asks for something else each time must not fill our memory."""


def by_host(sources: Iterable[Source]) -> Mapping[Host, tuple[Source, ...]]:
    """The sources whose traffic goes to a host, in their order."""
    found: dict[Host, tuple[Source, ...]] = {}
    for source in sources:
        for host in hosts(source):
            found[host] = (*found.get(host, ()), source)
    return found


class Routes:
    """Those of `sources`. Remembers."""

    def __init__(self, sources: Mapping[Host, tuple[Source, ...]]) -> None:
        self._sources = sources
        self._known: dict[tuple[str, str, int, str], tuple[Source, ...]] = {}

    def calls(self, request: Exchange) -> tuple[Source, ...]:
        """The sources of which the request may be a trading call."""
        path, method = request.path, request.method
        if request.scheme != "https":
            return ()
        if method != "POST":
            path, _, item = path.rpartition("/")
            if not item:
                return self._found(request)
        key = (method, request.host, request.port, path)
        known = self._known.get(key)
        return self._remembered(key, request) if known is None else known

    def _remembered(self, key: tuple[str, str, int, str], request: Exchange) -> tuple[Source, ...]:
        found, there = self._found(request), self._sources.get((request.host, request.port), ())
        if all(source.protocol == "broker-rest" for source in there):
            if len(self._known) >= ROUTES:
                self._known.clear()
            self._known[key] = found
        return found

    def _found(self, request: Exchange) -> tuple[Source, ...]:
        there = self._sources.get((request.host, request.port), ())
        return tuple(source for source in there if pictures.trades(request, source))
