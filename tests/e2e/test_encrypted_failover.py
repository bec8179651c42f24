"""Sentinels and a cluster of Debian's Redis that speak TLS alone, with certificates of a private authority for names
and not for addresses: the primary is found, its successor too, and a wrong certificate is one line.
"""

import asyncio
import shutil
import signal
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from redis import Redis as Plain
from redis.asyncio import Redis
from redis.exceptions import RedisError

from deploy.daemon import Health, Launch
from deploy.directory import HOST, free_port, write_whole
from deploy.embedded import BARE_ENVIRONMENT
from deploy.groundwork import join_groups
from shared import cluster, settings, streams
from shared.addresses import redis_url
from shared.plainly import UNTRUSTED
from shared.process import UserError
from shared.settings import Secret
from shared.wire import Codec, Keyring
from tests.e2e.encrypted import NAME, EncryptedRedis
from tests.e2e.pki import Authority
from tests.e2e.replicated import LOOK_S, PASSWORD

pytestmark = pytest.mark.timeout(180)

SERVICE, SLOTS = "desk", 16384
PATIENCE_S = 60.0
KEYRING = Keyring(current="k1", keys={"k1": b"1" * 32})
ECHO = "return redis.call('INCR', KEYS[1])"


class Node(EncryptedRedis):
    """A server that talks to others of its kind over TLS too; `more` are settings of its own."""

    def __init__(self, directory: Path, authority: Authority, more: Mapping[str, object]) -> None:
        super().__init__(directory, authority)
        self._more = more
        directory.mkdir(mode=0o700, parents=True)
        write_whole(directory / "password", PASSWORD)

    password_asked: str | None = PASSWORD

    @property
    def way(self) -> dict[str, Any]:
        """How this very server is reached."""
        encrypted = {
            "ssl": True,
            "ssl_cert_reqs": "none",
            "ssl_certfile": self.client[0],
            "ssl_keyfile": self.client[1],
        }
        return {"host": NAME, "port": self.port, "password": self.password_asked, "protocol": 2, **encrypted}

    def _settings(self) -> str:
        certificate, key = self.client
        more = {"masterauth": PASSWORD, "tls-replication": "yes", "repl-diskless-sync-delay": 0, **self._more}
        more |= {"tls-client-cert-file": certificate, "tls-client-key-file": key}
        return super()._settings() + "".join(f"{name} {value}\n" for name, value in more.items())


class Sentinel(Node):
    """The same binary as a Sentinel, which tells names instead of addresses."""

    title = "Sentinel"
    password_asked = None

    def health(self, pid: int) -> Health:
        client = Plain(**self.way, socket_timeout=2)
        try:
            return "ready" if client.ping() else "silent"
        except RedisError:
            return "silent"
        finally:
            client.close()

    def launch(self) -> Launch:
        binary = shutil.which("redis-server")
        assert binary is not None
        config = self.directory / "sentinel.conf"
        write_whole(config, self._settings())
        return Launch((binary, str(config), "--sentinel"), BARE_ENVIRONMENT, signal.SIGTERM)

    def _settings(self) -> str:
        theirs = ("port", "bind", "dir", "tls-")
        return "".join(f"{line}\n" for line in super()._settings().splitlines() if line.startswith(theirs)) + "".join(
            f"sentinel {line}\n"
            for line in (
                "resolve-hostnames yes",
                "announce-hostnames yes",
                f"monitor {SERVICE} {NAME} {self._more['primary']} 2",
                f"auth-pass {SERVICE} {PASSWORD}",
                f"down-after-milliseconds {SERVICE} 2000",
                f"failover-timeout {SERVICE} 4000",
            )
        )


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"), "ours")


def told(url: str, authority: Authority, server: Node, namespace: str = "main") -> settings.Redis:
    """The settings of a service."""
    return settings.Redis(
        url=Secret(url), namespace=namespace, password=Secret(PASSWORD), ca_file=authority.file,
        cert_file=server.client[0], key_file=server.client[1],
    )  # fmt: skip


async def ask(server: Node, *question: str) -> Any:
    client = Redis(**server.way)
    try:
        return await client.execute_command(*question)  # type: ignore[no-untyped-call]
    finally:
        await client.aclose()


async def until(server: Node, question: Sequence[str], word: bytes) -> None:
    """Return when the server's answer has this word."""
    async with asyncio.timeout(PATIENCE_S):
        while word not in repr(await ask(server, *question)).encode():
            await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def connected(table: settings.Redis) -> AsyncIterator[Redis]:
    client = streams.connect(redis_url(table))
    try:
        yield client
    finally:
        await client.aclose()


async def counted(client: Redis, key: str) -> int:
    """A script's answer on the short way, as soon as there is a primary that gives one."""
    script = client.register_script(ECHO)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            with suppress(RedisError):
                return int(await script(keys=[key]))
            await asyncio.sleep(LOOK_S)


async def complaint(table: settings.Redis) -> str:
    """What somebody is told who cannot use the servers."""
    with pytest.raises(UserError) as caught:
        await join_groups(Secret(redis_url(table)), Codec(table.namespace, KEYRING), ["main"])
    assert "\n" not in str(caught.value)
    assert PASSWORD not in str(caught.value)
    return str(caught.value)


async def until_distrusted(table: settings.Redis) -> None:
    """Return when the certificate is what is complained of: on a busy machine a server may not answer in time first."""
    async with asyncio.timeout(PATIENCE_S):
        while UNTRUSTED not in await complaint(table):
            await asyncio.sleep(0.1)


@pytest.fixture
def watched(tmp_path: Path, authority: Authority) -> Iterator[tuple[list[Node], list[Sentinel]]]:
    """A primary and its replica under three Sentinels."""
    first = Node(tmp_path / "first", authority, {"replica-announce-ip": NAME})
    nodes, sentinels = [first], list[Sentinel]()
    try:
        first.start()
        nodes.append(
            Node(tmp_path / "second", authority, {"replicaof": f"{NAME} {first.port}", "replica-announce-ip": NAME})
        )
        nodes[1].start()
        for number in range(3):
            sentinels.append(Sentinel(tmp_path / f"sentinel-{number}", authority, {"primary": first.port}))
            sentinels[-1].start()
        yield nodes, sentinels
    finally:
        for server in (*sentinels, *nodes):
            server.stop()


async def test_sentinels_with_names_in_their_certificates_lead_to_the_primary_and_to_its_successor(
    watched: tuple[list[Node], list[Sentinel]], authority: Authority, tmp_path: Path
) -> None:
    (first, second), sentinels = watched
    url = f"rediss+sentinel://{','.join(f'{NAME}:{sentinel.port}' for sentinel in sentinels)}/{SERVICE}"
    table = told(url, authority, first)
    for sentinel in sentinels:
        await until(sentinel, ("SENTINEL", "MASTER", SERVICE), b"'num-other-sentinels', b'2'")
        await until(sentinel, ("SENTINEL", "REPLICAS", SERVICE), b"'master-link-status', b'ok'")
    async with connected(table) as client:
        assert await client.set("{main}:a", 1)
        assert await counted(client, "{main}:a") == 2
        await until(second, ("GET", "{main}:a"), b"2")
        await ask(sentinels[0], "SENTINEL", "FAILOVER", SERVICE)
        for sentinel in sentinels:
            await until(sentinel, ("SENTINEL", "MASTER", SERVICE), f"b'port', b'{second.port}'".encode())
        await until(first, ("INFO", "replication"), b"'role': 'slave'")
        assert await counted(client, "{main}:a") == 3
        assert await ask(second, "GET", "{main}:a") == b"3"
    await until_distrusted(replace(table, ca_file=Authority(tmp_path / "pki", "stranger").file))


@pytest.fixture
async def clustered(tmp_path: Path, authority: Authority) -> AsyncIterator[list[Node]]:
    """Three primaries, and a replica of the first one."""
    nodes = list[Node]()
    try:
        for number in range(4):
            more = {
                "cluster-enabled": "yes", "tls-cluster": "yes", "cluster-port": free_port(),
                "cluster-announce-hostname": NAME, "cluster-preferred-endpoint-type": "hostname",
                "cluster-node-timeout": 5000,
            }  # fmt: skip
            nodes.append(Node(tmp_path / f"node-{number}", authority, more))
            nodes[-1].start()
        await gathered(nodes)
        yield nodes
    finally:
        for node in nodes:
            node.stop()


async def gathered(nodes: list[Node]) -> None:
    """Make them a cluster, and wait until each takes it for whole."""
    for number, node in enumerate(nodes, start=1):
        await ask(node, "CLUSTER", "SET-CONFIG-EPOCH", str(number))
        if node is not nodes[0]:
            await ask(nodes[0], "CLUSTER", "MEET", HOST, str(node.port), str(node._more["cluster-port"]))
    for number, node in enumerate(nodes[:3]):
        await ask(node, "CLUSTER", "ADDSLOTSRANGE", str(SLOTS * number // 3), str(SLOTS * (number + 1) // 3 - 1))
    for node in nodes:
        await until(node, ("CLUSTER", "INFO"), b"cluster_known_nodes:4")
        await until(node, ("CLUSTER", "INFO"), b"cluster_state:ok")
    await ask(nodes[3], "CLUSTER", "REPLICATE", (await ask(nodes[0], "CLUSTER", "MYID")).decode())
    await until(nodes[3], ("INFO", "replication"), b"'master_link_status': 'up'")
    for node in nodes:
        await until(node, ("CLUSTER", "NODES"), b"slave")


async def test_a_cluster_with_names_in_its_certificates_gives_each_namespace_its_node_and_its_successor(
    clustered: list[Node], authority: Authority, tmp_path: Path
) -> None:
    url = f"rediss+cluster://{NAME}:{clustered[1].port},{NAME}:{clustered[2].port}"
    spaces = [next(n for n in map(str, range(1000)) if cluster.slot(n) * 3 // SLOTS == third) for third in range(3)]
    for node, namespace in zip(clustered, spaces, strict=False):
        async with connected(told(url, authority, node, namespace)) as client:
            assert await counted(client, f"{{{namespace}}}:a") == 1
            assert await ask(node, "GET", f"{{{namespace}}}:a") == b"1"
    table, key = told(url, authority, clustered[0], spaces[0]), f"{{{spaces[0]}}}:a"
    async with connected(table) as client:
        assert await counted(client, key) == 2
        await ask(clustered[3], "CLUSTER", "FAILOVER")
        await until(clustered[3], ("INFO", "replication"), b"'role': 'master'")
        assert await counted(client, key) == 3
        assert await ask(clustered[3], "GET", key) == b"3"
    await until_distrusted(replace(table, ca_file=Authority(tmp_path / "pki", "stranger").file))
