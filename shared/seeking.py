"""Connections that look for the primary each time they are opened, and never repeat a command.

Where several servers stand for one, who of them takes writes is asked anew for every connection, of Sentinels or of a
cluster's nodes. A server that turns out not to be the one is left at once: the next connection goes to its successor.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    MovedError,
    ReadOnlyError,
    RedisError,
    TryAgainError,
)
from redis.exceptions import ConnectionError as Disconnected

from shared import cluster, sentinel
from shared.endpoints import Address, Endpoints, understood
from shared.process import UserError

ASK_S = 1.0
"""How long those who may know the primary have for an answer, all of them together."""

Find = Callable[[], Awaitable[Address]]

ELSEWHERE = (AskError, ClusterDownError, MasterDownError, MovedError, ReadOnlyError, TryAgainError)
"""What a server says that does not take our commands (now): it was demoted, or our keys are another's."""


class Seeking(Connection):
    """A connection to whatever `find` gives at the moment it is opened."""

    def __init__(self, *, find: Find, **options: Any) -> None:
        super().__init__(**options)
        self._find = find

    async def _connect(self) -> None:
        self.host, self.port = await self._find()
        await super()._connect()  # type: ignore[no-untyped-call]


class SeekingEncrypted(Seeking, SSLConnection):
    """The same with TLS: the name that `find` gives has to stand in the certificate."""


def pool(url: str, patience: float) -> ConnectionPool:
    """Connections to the server that `url` names, or to the primary that those know whom it names.

    No command is ever sent twice by itself: a repeated write could act twice. `patience` in seconds is how long
    connecting, and a reply, may take. Raises UserError when the address cannot be used.
    """
    try:
        named = understood(url)
        options = _options(named, patience)
        if named.kind != "one":
            options["connection_class"] = SeekingEncrypted if named.encrypted else Seeking
            options["find"] = finder(named, options)
        found = ConnectionPool(**options)
        found.make_connection()  # type: ignore[no-untyped-call]
    except TypeError as error:
        option = str(error).rpartition(" ")[2]  # only the library knows all options that a connection has
        raise UserError(f"redis.url: there is no option {option}; see what stands behind the `?`") from error
    except ValueError as error:
        raise UserError(f"redis.url: {error}") from error
    return found


def finder(named: Endpoints, options: Mapping[str, Any]) -> Find:
    """Who finds the primary; `options` are those of the connections to it."""
    plain = {name: value for name, value in options.items() if name not in ("connection_class", "host", "port", "db")}
    encrypted = {"connection_class": SSLConnection} if named.encrypted else {}
    if named.kind == "sentinel":
        theirs = {"username": named.username, "password": named.password}
        return Sentinels(named, {**plain, **theirs, **encrypted})
    return Nodes(named, {**plain, **encrypted})


class Sentinels:
    """Asks all Sentinels of a service; most of them have to answer, and the newest of what they say counts.

    One that was cut off from the others would name the primary of before.
    """

    def __init__(self, named: Endpoints, options: Mapping[str, Any]) -> None:
        self._named = named
        self._options = options

    async def __call__(self) -> Address:
        """Raises a connection error when too few answer, or none knows the service."""
        servers, service = self._named.servers, self._named.service
        said = await _ask(servers, self._options, ("SENTINEL", "MASTER", service))
        found = [sentinel.primary(reply) for reply in said.values() if not isinstance(reply, Exception)]
        if len(found) <= len(servers) // 2:
            known = f"{len(found)} of {len(servers)} Sentinels know {service}"
            raise Disconnected(f"{known}{_reasons(said)}") from _first(said)
        return max(found, key=lambda each: each.epoch).address


class Nodes:
    """Asks the nodes that are named, and those that they told of, who has the namespace's slot; the newest counts."""

    def __init__(self, named: Endpoints, options: Mapping[str, Any]) -> None:
        self._named = named
        self._options = options
        self._slot = cluster.slot(named.namespace)
        self._known: set[Address] = set()

    async def __call__(self) -> Address:
        """Raises a connection error when no node that answers knows an owner of the slot."""
        asked = tuple(dict.fromkeys([*self._named.servers, *sorted(self._known)]))
        said = await _ask(asked, self._options, ("CLUSTER", "NODES"))
        nodes = [
            node
            for server, reply in said.items()
            if not isinstance(reply, Exception)
            for node in cluster.nodes(reply.decode(), server[0])
        ]
        owners = [node for node in nodes if node.owns(self._slot)]
        if not owners:
            raise Disconnected(f"no node says who has slot {self._slot}{_reasons(said)}") from _first(said)
        self._known = {node.address for node in nodes}
        return max(owners, key=lambda node: node.epoch).address


def _options(named: Endpoints, patience: float) -> dict[str, Any]:
    """What the address says goes before how long we wait, and not before what everything here relies on."""
    keepalive = {} if named.connection.startswith("unix:") else {"socket_keepalive": True}
    return {
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        **keepalive,
        **parse_url(named.connection),
        "retry": Retry(NoBackoff(), 0),
        "retry_on_error": [],
        "decode_responses": False,
        "driver_info": None,  # or the library tells of itself, which a user with few rights may not
    }


async def _ask(servers: Sequence[Address], options: Mapping[str, Any], question: tuple[str, ...]) -> dict[Address, Any]:
    """What each answers, or why it does not."""
    replies = await asyncio.gather(*(_answer(server, options, question) for server in servers))
    return dict(zip(servers, replies, strict=True))


async def _answer(server: Address, options: Mapping[str, Any], question: tuple[str, ...]) -> Any:
    host, port = server
    client = Redis(connection_pool=ConnectionPool(**{**options, "host": host, "port": port, "protocol": 2}))
    try:
        async with asyncio.timeout(ASK_S):
            return await client.execute_command(*question)  # type: ignore[no-untyped-call]
    except (RedisError, OSError) as error:
        return error
    finally:
        await client.connection_pool.disconnect()


def _reasons(said: Mapping[Address, Any]) -> str:
    reasons = [f"{host}:{port}: {_line(e)}" for (host, port), e in said.items() if isinstance(e, Exception)]
    return f" ({'; '.join(reasons)})" if reasons else ""


def _first(said: Mapping[Address, Any]) -> Exception | None:
    """Why the first of those who do not answer does not: a certificate, for instance, that is not the one expected."""
    return next((each for each in said.values() if isinstance(each, Exception)), None)


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or "no answer in time"
