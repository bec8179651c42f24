"""An address is understood as what it names, whatever it names, and what is wrong with it is said without it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.endpoints import Endpoints, understood

ADDRESSES = {
    "redis://u:p@host:1/2": Endpoints(kind="one", servers=(("host", 1),), connection="redis://u:p@host:1/2"),
    "rediss://host": Endpoints(kind="one", servers=(("host", 6379),), connection="rediss://host"),
    "redis://[::1]:7/0": Endpoints(kind="one", servers=(("::1", 7),), connection="redis://[::1]:7/0"),
    "unix:///run/redis.sock?db=1": Endpoints(kind="one", servers=(), connection="unix:///run/redis.sock?db=1"),
    "redis+sentinel://:p@a:1,b,[::1]:3/desk/4?sentinel_username=u&sentinel_password=q&socket_read_size=9": Endpoints(
        kind="sentinel",
        servers=(("a", 1), ("b", 26379), ("::1", 3)),
        connection="redis://:p@a:1/4?socket_read_size=9",
        service="desk",
        username="u",
        password="q",
    ),
    "rediss+cluster://u:p@a,b:2/?namespace=main&ssl_ca_certs=%2Fca": Endpoints(
        kind="cluster",
        servers=(("a", 6379), ("b", 2)),
        connection="rediss://u:p@a/?ssl_ca_certs=%2Fca",
        namespace="main",
    ),
}


@pytest.mark.parametrize(("url", "named"), ADDRESSES.items(), ids=ADDRESSES)
def test_an_address_is_what_it_names(url: str, named: Endpoints) -> None:
    assert understood(url) == named
    assert named.encrypted == url.startswith("rediss")


MISTAKES = {
    "http://hush": "must be as in redis://",
    "redis+raft://hush": "must be as in redis://",
    "unix+sentinel://hush/desk": "must be as in redis://",
    "redis://[hush": "must name servers",
    "redis+sentinel://hush:1": "must say which service",
    "redis+sentinel://hush:1/": "must say which service",
    "redis+cluster://hush:1/3": "must name no database",
    "redis+cluster://hush:x,b": "must name servers as host or host:port",
    "redis+cluster://hush:1,,b": "must name servers as host or host:port",
    "redis+cluster://hush:0": "must name servers as host or host:port",
    "redis+cluster://": "must name servers as host or host:port",
    "redis://hush:1,b": "must name one server, or several as in redis",
    "redis://host:0": "must name servers as host or host:port",
}


@pytest.mark.parametrize(("url", "line"), MISTAKES.items(), ids=MISTAKES)
def test_what_cannot_be_used_is_said_without_the_address(url: str, line: str) -> None:
    with pytest.raises(ValueError, match=line) as caught:
        understood(url)
    assert "hush" not in str(caught.value)


HOSTS = st.lists(st.tuples(st.from_regex(r"\A[a-z][a-z0-9.-]{0,20}\Z"), st.integers(1, 65535)), min_size=1, max_size=9)


@given(HOSTS, st.sampled_from(["redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster"]))
def test_all_servers_are_found_in_their_order(hosts: list[tuple[str, int]], scheme: str) -> None:
    path = "desk" if "sentinel" in scheme else ""
    named = understood(f"{scheme}://user:p%2Cw@{','.join(f'{host}:{port}' for host, port in hosts)}/{path}")
    assert list(named.servers) == hosts
