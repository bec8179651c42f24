"""A Redis Cluster of six nodes, three of them replicas; it stands where a `Valkey` does."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from deploy.directory import HOST, free_port
from shared import cluster
from shared.cluster import Node
from tests.e2e.replicated import LOOK_S, NODE_MS, PASSWORD, Server, asked, entries

SLOTS = 16384
PRIMARIES = 3


class Member(Server):
    """One node."""

    greeting = "READONLY"

    def __init__(self, directory: Path) -> None:
        self.bus = free_port()
        super().__init__(directory, {})

    async def serve(self) -> None:
        self.more = {
            "cluster-enabled": "yes",
            "cluster-port": self.bus,
            "cluster-node-timeout": NODE_MS,
            "cluster-replica-validity-factor": 0,
            "cluster-announce-ip": HOST,
            "cluster-announce-bus-port": self.bus,
        }
        await super().serve()
        # What it announces is its door's port, which is known only now.
        await asked(self, "CONFIG", "SET", "cluster-announce-port", str(self.door.port))
        self.more["cluster-announce-port"] = self.door.port

    async def state(self) -> str:
        """Whether it takes the cluster for whole."""
        told: Any = await asked(self, "CLUSTER", "INFO")
        return "ok" if b"cluster_state:ok" in told and b"cluster_known_nodes:6" in told else "no"


class Clustered:
    """Six nodes; slots in equal parts over the first three."""

    def __init__(self, folder: Path, namespace: str) -> None:
        self.members = [Member(folder / f"node-{n}") for n in range(2 * PRIMARIES)]
        self.namespace = namespace
        self.slot = cluster.slot(namespace)
        self.pid = 0

    @property
    def port(self) -> int:
        """No service connects to a node by a port of its own choice."""
        return self.members[0].port

    @property
    def url(self) -> str:
        """Two of the nodes: the others are learned from them."""
        hosts = ",".join(f"{HOST}:{member.door.port}" for member in self.members[-2:])
        return f"redis+cluster://:{PASSWORD}@{hosts}/?namespace={self.namespace}"

    async def started(self) -> None:
        """Return when every node takes the cluster for whole and each replica follows."""
        first, *others = self.members
        for member in self.members:
            await member.serve()
        for number, member in enumerate(self.members):
            await asked(member, "CLUSTER", "SET-CONFIG-EPOCH", str(number + 1))
        for other in others:
            await asked(first, "CLUSTER", "MEET", HOST, str(other.door.port), str(other.bus))
        for number, member in enumerate(self.members[:PRIMARIES]):
            low, high = SLOTS * number // PRIMARIES, SLOTS * (number + 1) // PRIMARIES - 1
            await asked(member, "CLUSTER", "ADDSLOTSRANGE", str(low), str(high))
        await self._until_whole()
        for primary, replica in zip(self.members[:PRIMARIES], self.members[PRIMARIES:], strict=True):
            name: Any = await asked(primary, "CLUSTER", "MYID")
            await asked(replica, "CLUSTER", "REPLICATE", name.decode())
        for replica in self.members[PRIMARIES:]:
            await self.following(replica)

    async def close(self) -> None:
        """Stop all of them."""
        for member in self.members:
            await member.close()

    async def view(self, member: Member) -> list[Node]:
        """What one of them says of all."""
        told: Any = await asked(member, "CLUSTER", "NODES")
        return list(cluster.nodes(told.decode(), HOST))

    async def owner(self) -> Member:
        """Who has our slot, as the last of those that run has it."""
        asking = next(member for member in reversed(self.members) if member.pid is not None)
        owners = [node for node in await self.view(asking) if node.owns(self.slot)]
        port = max(owners, key=lambda node: node.epoch).address[1]
        return next(member for member in self.members if member.door.port == port)

    async def pair(self) -> tuple[Server, Server]:
        """Who has our slot, and its replica that follows."""
        primary = await self.owner()
        replica = await self.replica(primary)
        await self.following(replica)
        return primary, replica

    async def replica(self, primary: Member) -> Member:
        """Who follows a primary."""
        for member in self.members:
            told: Any = await asked(member, "INFO", "replication")
            if told["role"] == "slave" and int(told["master_port"]) == primary.door.port:
                return member
        raise AssertionError("nobody follows it")

    async def following(self, replica: Member) -> None:
        """Return when it follows a primary."""
        while True:
            told: Any = await asked(replica, "INFO", "replication")
            if told["role"] == "slave" and told["master_link_status"] == "up":
                return
            await asyncio.sleep(LOOK_S)

    async def fail_over(self, streams: Sequence[str]) -> list[int]:
        """Kill who has our slot, whose replica is behind; how many acknowledged entries of each stream are gone."""
        killed = await self.owner()
        had = [await entries(killed, stream) for stream in streams]
        killed.kill()
        while (heir := await self.owner()) is killed:
            await asyncio.sleep(LOOK_S)
        has = [await entries(heir, stream) for stream in streams]
        await killed.started()
        await self.following(killed)
        return [len(before - after) for before, after in zip(had, has, strict=True)]

    async def _until_whole(self) -> None:
        while True:
            try:
                if {await member.state() for member in self.members} == {"ok"}:
                    return
            except RedisError:
                pass
            await asyncio.sleep(LOOK_S)
