"""Pure: what an address of Redis names: one server, Sentinels that know the primary of a service, or a cluster's nodes.

`redis://host:port/0` is one server, `redis+sentinel://host:port,host:port/SERVICE` asks Sentinels, and
`redis+cluster://host:port,host:port` asks the nodes of a cluster; `rediss` in place of `redis` is the same encrypted.
"""

import re
from typing import Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from msgspec import Struct

Address = tuple[str, int]
Kind = Literal["one", "sentinel", "cluster"]

KINDS: dict[str, Kind] = {"": "one", "sentinel": "sentinel", "cluster": "cluster"}
PORTS: dict[Kind, int] = {"one": 6379, "sentinel": 26379, "cluster": 6379}
OURS = ("namespace", "sentinel_username", "sentinel_password")
"""Options of an address that are no options of a connection."""
EXAMPLES: dict[Kind, str] = {
    "one": "redis://host:6379/0, or rediss://host:6379/0 with encryption",
    "sentinel": "redis+sentinel://host:26379,host:26379,host:26379/SERVICE",
    "cluster": "redis+cluster://host:6379,host:6379,host:6379",
}


class Endpoints(Struct, frozen=True, kw_only=True):
    """`servers` are those that are named. `connection` is a plain address with everything that goes for each server.

    `service` is the name that Sentinels watch it under, `username` and `password` are for them; `namespace` says which
    of a cluster's slots is ours.
    """

    kind: Kind
    servers: tuple[Address, ...]
    connection: str
    service: str = ""
    namespace: str = ""
    username: str | None = None
    password: str | None = None

    @property
    def encrypted(self) -> bool:
        """Whether connections speak TLS."""
        return self.connection.startswith("rediss:")


def understood(url: str) -> Endpoints:
    """What the address names. Raises ValueError, without any part of the address, since a password may be in it."""
    parts = parted(url)
    scheme, _, word = parts.scheme.partition("+")
    kind = KINDS[word]
    login, at, hosts = parts.netloc.rpartition("@")
    if "[" in login or "]" in login:
        raise ValueError("must have no brackets before the @")  # no client library could take it apart
    servers = tuple(_server(host, kind) for host in hosts.split(",")) if hosts or kind != "one" else ()
    if kind == "one" and len(servers) > 1:
        raise ValueError(f"must name one server, or several as in {EXAMPLES['sentinel']} or {EXAMPLES['cluster']}")
    service, _, database = parts.path.removeprefix("/").partition("/") if kind == "sentinel" else ("", "", "")
    if kind == "sentinel" and not service:
        raise ValueError(f"must say which service the Sentinels are asked for, as in {EXAMPLES[kind]}")
    if kind == "cluster" and parts.path not in ("", "/", "/0"):
        raise ValueError("must name no database: a cluster has none")
    options = dict(parse_qsl(parts.query))
    query = urlencode({name: value for name, value in options.items() if name not in OURS})
    plain = SplitResult(scheme, f"{login}{at}{_first(hosts)}", f"/{database}", query, "").geturl()
    return Endpoints(
        kind=kind,
        servers=servers,
        connection=url if kind == "one" else plain,
        service=unquote(service),
        namespace=options.get("namespace", ""),
        username=options.get("sentinel_username"),
        password=options.get("sentinel_password"),
    )


def parted(url: str) -> SplitResult:
    """The parts of an address, the servers still together. Raises ValueError, without any part of the address."""
    try:
        # Several hosts, one of them with brackets, are no netloc to every version of the library: it gets the rest.
        scheme, _, rest = url.partition("://")
        netloc = re.split("[/?#]", rest, maxsplit=1)[0]
        parts = urlsplit(f"{scheme}://{rest[len(netloc) :]}")._replace(netloc=netloc)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    scheme, _, word = parts.scheme.partition("+")
    if (scheme not in ("redis", "rediss") and parts.scheme != "unix") or word not in KINDS:
        raise ValueError(f"must be as in {'; '.join(EXAMPLES.values())}")
    return parts


def _server(written: str, kind: Kind) -> Address:
    """Host and port. Only where one server is named may it go without a host: it is on this machine."""
    try:
        found = urlsplit(f"//{written}")
        port = PORTS[kind] if found.port is None else found.port
        host = found.hostname or ("localhost" if kind == "one" else "")
    except ValueError:
        host, port = "", 0
    if not (host and port):
        raise ValueError("must name servers as host or host:port, several with commas between")
    return host, port


def _first(hosts: str) -> str:
    return hosts.split(",", maxsplit=1)[0]
