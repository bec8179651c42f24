import asyncio
import ssl
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from socket import socket

import pytest
from mitmproxy import http

from ingest.proxy import Proxy
from shared.process import UserError
from tests.ingest.wire import Authority, Origin, browser, fetch, new_authority, through, trusting, whole


class Witness:
    """An addon that keeps what it is shown."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def response(self, flow: http.HTTPFlow) -> None:
        self.seen.append(flow.request.path)


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


async def test_nothing_is_left_when_it_stops(confdir: Path, origin: Origin) -> None:
    async with through(proxy(confdir, origin, Witness()), []):
        pass
    assert asyncio.all_tasks() == {asyncio.current_task()}
