"""The proxy itself: mitmproxy inside our event loop, opening exactly the hosts it is told to, verifying every broker.

All other connections pass through as they are: the client sees the origin's own certificate and we see nothing.
"""

import asyncio
import logging
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import certifi
import h11
from h11._readers import ChunkedReader
from h11._receivebuffer import ReceiveBuffer
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.options import Options
from mitmproxy.proxy.layers.http import _http1
from mitmproxy.proxy.server import ConnectionHandler
from mitmproxy.tools.dump import DumpMaster

from ingest.scope import Host, patterns
from ingest.settings import shown
from shared.process import UserError
from shared.settings import Secret
from shared.vault import require_private

log = logging.getLogger(__name__)

NOT_OURS = ("errorcheck", "onboarding")
"""Addons that would end our process, and serve pages of their own."""


CA_KEY = "mitmproxy-ca.pem"

LAST_CALL_S = 1.0
"""How long connections may take to close when the proxy stops."""


class Proxy:
    """A proxy on `listen` (host, port) with one addon. Its CA lives in `confdir`, made when it is not there yet."""

    def __init__(
        self,
        listen: Host,
        confdir: Path,
        addon: object,
        *,
        upstream_ca: Path | None = None,
        auth: Secret | None = None,
    ) -> None:
        """`auth` is `user:password`, without which nobody gets through."""
        self._listen = listen
        self._auth = auth
        self._confdir = confdir
        self._addon = addon
        self._upstream_ca = upstream_ca
        self._running = asyncio.Event()
        self._master: DumpMaster | None = None

    def running(self) -> None:
        """Called by mitmproxy, whose addon we are, when its start is over."""
        self._running.set()

    def prepare(self, opened: Iterable[Host]) -> None:
        """Make the proxy ready to run. Raises UserError: the address is taken, a CA file cannot be read."""
        require_free(self._listen)
        self._confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (own := self._confdir / CA_KEY).exists():
            require_private(own, "the key of the proxy's authority")
        logging.getLogger("mitmproxy").setLevel(logging.WARNING)
        _http1.ChunkedReader = _WithoutTrailers  # type: ignore[attr-defined]
        master = DumpMaster(self._options(opened), with_termlog=False, with_dumper=False)
        master.addons.get("errorcheck").finish()
        for name in NOT_OURS:
            master.addons.remove(master.addons.get(name))
        master.addons.add(self._addon, self)
        if self._auth is not None:
            master.options.update(proxyauth=_one_user(self._auth))
        self._master = master

    async def run(self) -> None:
        """Serve until `stop` is called."""
        assert self._master is not None, "prepare comes first"
        try:
            await self._master.run()
        finally:
            await self._close(self._master.addons.get("proxyserver"))

    async def _close(self, server: Proxyserver) -> None:
        """Stop listening and end what is connected: mitmproxy leaves that to the end of its process."""
        await server.servers.update([])
        for handler in list(server.connections.values()):
            _cut(handler, "the proxy stops")
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_CALL_S):
                while server.connections:  # noqa: ASYNC110  mitmproxy has no event for it
                    await asyncio.sleep(0.005)

    async def started(self) -> Host:
        """Return once connections are accepted, with the address that was bound. Raises UserError when none are."""
        await self._running.wait()
        bound = self._master.addons.get("proxyserver").listen_addrs() if self._master else []
        if not bound:
            raise UserError(f"the proxy cannot listen on {shown(self._listen)}; free it or set another ingest.listen")
        return bound[0][0], bound[0][1]

    def open(self, hosts: Iterable[Host]) -> None:
        """Open these hosts and no others.

        Connections to them that pass unopened are cut: a browser keeps its connections for hours and we would see
        nothing of what it does. It connects again at once.
        """
        if self._master is None:
            return
        opened = set(hosts)
        self._master.options.update(allow_hosts=patterns(opened))
        for handler in list(self._master.addons.get("proxyserver").connections.values()):
            if _passes_unopened(handler, opened):
                _cut(handler, "this host is opened from now on")

    def stop(self) -> None:
        """Stop serving; `run` returns soon after."""
        if self._master is not None:
            self._master.shutdown()

    def _options(self, opened: Iterable[Host]) -> Options:
        host, port = self._listen
        trusted = str(self._trusted()) if self._upstream_ca else None
        return Options(
            listen_host=host,
            listen_port=port,
            confdir=str(self._confdir),
            allow_hosts=patterns(opened),
            ssl_insecure=False,
            ssl_verify_upstream_trusted_ca=trusted,
        )

    def _trusted(self) -> Path:
        """A file with the public CAs and the one of the settings: naming only the latter would replace the others."""
        assert self._upstream_ca is not None
        try:
            own = self._upstream_ca.read_text()
        except OSError as error:
            raise UserError(f"ingest.upstream-ca-file: {self._upstream_ca} cannot be read: {error.strerror}") from error
        bundle = self._confdir / "trusted-upstream.pem"
        bundle.write_text(Path(certifi.where()).read_text() + "\n" + own)
        return bundle


class _WithoutTrailers(ChunkedReader):
    """Reads a body of HTTP/1 that comes in chunks. What fields may follow the last chunk is left out, as HTTP allows.

    mitmproxy knows none there: it would give up, and the trader would wait for ever for a reply that had come.
    """

    def __call__(self, buf: ReceiveBuffer) -> h11.Data | h11.EndOfMessage | None:
        found = super().__call__(buf)
        return h11.EndOfMessage() if isinstance(found, h11.EndOfMessage) else found


def _one_user(auth: Secret) -> str:
    """The one user of the proxy as mitmproxy wants it; what else it takes in this place (a file, LDAP) is not meant."""
    said = auth.reveal()
    if not re.fullmatch(r"(?!ldap)[^:@\s][^:\s]*:[^:\s]+", said):
        raise UserError("ingest.proxy-auth must be user:password, without another colon, blanks, or @ in front")
    return said


def _passes_unopened(handler: ConnectionHandler, opened: set[Host]) -> bool:
    address = handler.layer.context.server.address
    return address is not None and address[:2] in opened and not handler.client.tls_established


def _cut(handler: ConnectionHandler, why: str) -> None:
    """End a connection as mitmproxy does when one is idle for too long."""
    transport = handler.transports.get(handler.client)
    if transport is not None and transport.handler is not None:
        transport.handler.cancel(why)


def require_free(listen: Host) -> None:
    """Raise UserError when nobody can listen on the address."""
    host, port = listen
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        text = f"the proxy cannot listen on {shown(listen)}: {error.strerror}; free it or set another ingest.listen"
        raise UserError(text) from error
