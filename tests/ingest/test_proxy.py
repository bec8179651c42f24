import asyncio
import http.client
import ssl
import stat
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from socket import create_connection, socket

import pytest
from mitmproxy.http import HTTPFlow

from deploy.demo.authority import issue
from ingest.proxy import Proxy
from ingest.scope import Host
from ingest.source import parse_host
from shared.process import UserError
from shared.settings import Secret
from tests.ingest.wire import (
    CHUNKED,
    Asked,
    Authority,
    Origin,
    browser,
    chunk,
    fetch,
    new_authority,
    through,
    trusting,
    whole,
)


class Witness:
    """An addon that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.hosts: list[Host] = []

    def response(self, flow: HTTPFlow) -> None:
        self.seen.append(flow.request.path)
        self.hosts.append((flow.request.data.host, flow.request.data.port))


@pytest.fixture(scope="module")
def confdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("confdir") / "proxy"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def origin(authority: Authority) -> AsyncIterator[Origin]:
    found = Origin(authority)
    found.replies["/hello"] = whole(b"hello")
    async with await found.serve():
        yield found


def proxy(confdir: Path, origin: Origin, witness: Witness) -> Proxy:
    return Proxy(("127.0.0.1", 0), confdir, witness, upstream_ca=origin.ca)


async def test_a_configured_host_is_opened_with_our_certificate(confdir: Path, origin: Origin) -> None:
    to, witness = ("localhost", origin.port), Witness()
    async with through(proxy(confdir, origin, witness), [to]) as at:
        assert at[0] == "127.0.0.1"
        ours = trusting(confdir / "mitmproxy-ca-cert.pem")
        assert await asyncio.to_thread(fetch, at, to, ours, "GET", "/hello") == (200, b"hello")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(fetch, at, to, trusting(origin.ca), "GET", "/hello")
    assert witness.seen == ["/hello"]


@pytest.mark.parametrize("opened", [True, False], ids=["a host of ours", "another host"])
async def test_fields_that_follow_a_reply_in_chunks_hold_up_nobody(confdir: Path, origin: Origin, opened: bool) -> None:
    async def trailing(_asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED % b"application/json" + chunk(b"hel") + chunk(b"lo"))
        writer.write(b"0\r\nServer-Timing: db;dur=3\r\nX-Checksum: 1\r\n\r\n")

    origin.replies["/hello"] = trailing
    to, witness = ("localhost", origin.port), Witness()
    async with through(proxy(confdir, origin, witness), [to] if opened else []) as at:
        context = trusting(confdir / "mitmproxy-ca-cert.pem" if opened else origin.ca)
        tab = browser(at, to, context)

        def ask(method: str) -> bytes:
            tab.request(method, "/hello", b"a=1" if method == "POST" else None)
            return tab.getresponse().read()

        for method in ("POST", "GET", "POST"):
            assert await asyncio.to_thread(ask, method) == b"hello"
        tab.close()
    assert witness.seen == ["/hello"] * 3 * opened


@pytest.fixture(scope="module")
def ipv6_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return issue(tmp_path_factory.mktemp("ipv6"), "::1", datetime.now(UTC))


def ask_ipv6(at: Host, port: int, context: ssl.SSLContext) -> bytes:
    """What a browser gets from https://[::1]/hello through the proxy."""
    with create_connection(at, timeout=60) as raw:
        raw.sendall(f"CONNECT [::1]:{port} HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n".encode())
        assert b" 200 " in raw.recv(4096)
        with context.wrap_socket(raw, server_hostname="::1") as secure:
            secure.sendall(f"GET /hello HTTP/1.1\r\nHost: [::1]:{port}\r\n\r\n".encode())
            reply = http.client.HTTPResponse(secure)
            reply.begin()
            return reply.read()


async def test_an_address_of_ipv6_is_a_host_like_any_other(tmp_path: Path, ipv6_authority: Authority) -> None:
    there, witness, confdir = Origin(ipv6_authority), Witness(), tmp_path / "proxy"
    there.replies["/hello"] = whole(b"hello")
    try:
        server = await there.serve("::1")
    except OSError:
        pytest.skip("this machine has no IPv6 (::1)")
    async with server:
        name, port, _ = parse_host(f"[0:0:0::1]:{there.port}")
        async with through(proxy(confdir, there, witness), [(name, port)]) as at:
            ours = trusting(confdir / "mitmproxy-ca-cert.pem")
            assert await asyncio.to_thread(ask_ipv6, at, port, ours) == b"hello"
        async with through(proxy(confdir, there, witness), [("::2", port), ("::1", port + 1)]) as at:
            assert await asyncio.to_thread(ask_ipv6, at, port, trusting(there.ca)) == b"hello"
    assert witness.hosts == [("::1", port)]


@pytest.mark.parametrize("opened", [[], [("localhost", 1)], [("localhost.evil.test", 443)]])
async def test_every_other_host_keeps_its_own_certificate_and_is_not_seen(
    confdir: Path, origin: Origin, opened: list[tuple[str, int]]
) -> None:
    to, witness = ("localhost", origin.port), Witness()
    async with through(proxy(confdir, origin, witness), opened) as at:
        assert await asyncio.to_thread(fetch, at, to, trusting(origin.ca), "GET", "/hello") == (200, b"hello")
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(fetch, at, to, trusting(confdir / "mitmproxy-ca-cert.pem"), "GET", "/hello")
    assert witness.seen == []


async def test_a_broker_that_cannot_be_verified_is_not_talked_to(confdir: Path, origin: Origin, tmp_path: Path) -> None:
    stranger, to = Origin(new_authority(tmp_path)), ("localhost", origin.port)
    async with through(proxy(tmp_path / "proxy", stranger, Witness()), [to]) as at:
        ours = trusting(tmp_path / "proxy/mitmproxy-ca-cert.pem")
        status, _ = await asyncio.to_thread(fetch, at, to, ours, "POST", "/hello", b"secret")
    assert status == 502
    assert origin.asked == []


async def test_a_host_that_becomes_ours_is_opened_also_where_a_connection_passes_already(
    confdir: Path, origin: Origin
) -> None:
    to, witness = ("localhost", origin.port), Witness()
    running = proxy(confdir, origin, witness)
    async with through(running, []) as at:
        old = browser(at, to, trusting(origin.ca))

        def ask() -> bytes:
            old.request("GET", "/hello")
            return old.getresponse().read()

        assert await asyncio.to_thread(ask) == b"hello"
        running.open([to])
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await asyncio.to_thread(ask)
        old.close()
        ours = trusting(confdir / "mitmproxy-ca-cert.pem")
        assert await asyncio.to_thread(fetch, at, to, ours, "GET", "/hello") == (200, b"hello")
        running.open([])
        assert await asyncio.to_thread(fetch, at, to, trusting(origin.ca), "GET", "/hello") == (200, b"hello")
    assert witness.seen == ["/hello"]


def tunnelled(at: Host, to: Host, context: ssl.SSLContext, said: str | None) -> int:
    """The status of a request that says `said` (user:password) to the proxy, or nothing."""
    headers = {"Proxy-Authorization": f"Basic {b64encode(said.encode()).decode()}"} if said is not None else {}
    connection = http.client.HTTPSConnection(*at, context=context, timeout=20)
    connection.set_tunnel(*to, headers=headers)
    try:
        connection.request("GET", "/hello")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("opened", [True, False], ids=["a host of ours", "another host"])
async def test_a_proxy_that_wants_a_password_lets_nobody_through_without_it(
    confdir: Path, origin: Origin, opened: bool
) -> None:
    to, witness = ("localhost", origin.port), Witness()
    closed = Proxy(("127.0.0.1", 0), confdir, witness, upstream_ca=origin.ca, auth=Secret("desk:hush"))
    async with through(closed, [to] if opened else []) as at:
        context = trusting(confdir / "mitmproxy-ca-cert.pem", origin.ca)
        for said in (None, "desk:guessed", "other:hush", "desk:", ":"):
            with pytest.raises(OSError, match="407 Proxy Authentication Required"):
                await asyncio.to_thread(tunnelled, at, to, context, said)
        assert origin.asked == []
        assert await asyncio.to_thread(tunnelled, at, to, context, "desk:hush") == 200
    assert "proxy-authorization" not in origin.asked[0].headers
    assert witness.seen == (["/hello"] if opened else [])


@pytest.mark.parametrize(
    "auth", ["any", "@/etc/passwd", "ldap:server:user:password", "desk", "desk:", ":hush", "a:b:c"]
)
async def test_what_is_no_user_and_password_is_refused_without_being_shown(confdir: Path, auth: str) -> None:
    with pytest.raises(UserError, match=r"ingest\.proxy-auth must be user:password") as caught:
        Proxy(("127.0.0.1", 0), confdir, Witness(), auth=Secret(auth)).prepare([])
    assert auth not in str(caught.value).replace("user:password", "")


async def test_a_port_that_is_taken_is_one_line(confdir: Path) -> None:
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            UserError, match=rf"cannot listen on 127\.0\.0\.1:{port}: Address already in use; free it or"
        ):
            Proxy(("127.0.0.1", port), confdir, Witness()).prepare([])


async def test_an_authority_that_cannot_be_read_is_one_line(confdir: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ingest\.upstream-ca-file: .*nowhere\.pem cannot be read"):
        Proxy(("127.0.0.1", 0), confdir, Witness(), upstream_ca=tmp_path / "nowhere.pem").prepare([])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_the_authoritys_key_is_nobody_elses(confdir: Path, origin: Origin) -> None:
    async with through(proxy(confdir, origin, Witness()), []):
        assert (mode(confdir / "mitmproxy-ca.pem"), mode(confdir)) == (0o600, 0o700)


async def test_an_authority_whose_key_others_can_read_is_refused(confdir: Path, origin: Origin, tmp_path: Path) -> None:
    async with through(proxy(tmp_path / "proxy", origin, Witness()), []):
        pass
    (tmp_path / "proxy" / "mitmproxy-ca.pem").chmod(0o644)
    with pytest.raises(UserError, match="others can read the key of the proxy's authority; run `chmod 600"):
        proxy(tmp_path / "proxy", origin, Witness()).prepare([])


async def test_nothing_is_left_when_it_stops(confdir: Path, origin: Origin) -> None:
    async with through(proxy(confdir, origin, Witness()), []):
        pass
    assert asyncio.all_tasks() == {asyncio.current_task()}
