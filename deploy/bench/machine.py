"""Under which conditions a bench ran: the machine, the versions, what the server itself says that it syncs."""

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any, cast

from redis.asyncio import Redis

from deploy.bench.journey import ACCOUNT, POLL_S, Journey
from deploy.bench.report import Conditions
from ingest.segments import SYNC_WITHIN

LIBRARIES = ("redis", "hiredis", "mitmproxy", "msgspec")


async def conditions(way: Journey) -> Conditions:
    """What a reader of the result has to know. Raises redis errors."""
    asked = cast(dict[Any, Any], await way.redis.config_get("append*"))
    synced = {_text(name): _text(value) for name, value in asked.items()}
    info = await way.redis.info("server")
    account = way.machine.executor.accounts[ACCOUNT]
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
    return Conditions(
        machine=f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}, "
        f"data on {filesystem(way.machine.data)}",
        versions=f"Python {platform.python_version()}, Valkey {info.get('valkey_version', '?')}, {libraries}",
        synced=f"server: appendonly {synced.get('appendonly')}, appendfsync {synced.get('appendfsync')}, before each "
        f"reply; outbox: written before publishing, synced within {SYNC_WITHIN * 1000:g} ms beside it",
        guards=f"all on: openings up to {account.limits.max_age} s old and {account.limits.max_drift_percent} % away, "
        f"at most {account.limits.max_orders_per_minute} a minute (raised for this); fence before each call; "
        f"mode {account.mode}, act-on {account.act_on}",
        traffic=f"one account on a simulated terminal; a page that polls orders and positions every {POLL_S:g} s",
    )


async def of_server(redis: Redis, folder: Path, **more: str) -> dict[str, str]:
    """The same, by name, for a bench with a server and nothing else around it. Raises redis errors."""
    asked = cast(dict[Any, Any], await redis.config_get("append*"))
    synced = {_text(name): _text(value) for name, value in asked.items()}
    info = await redis.info("server")
    libraries = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("redis", "hiredis", "msgspec"))
    return {
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.release()} {platform.machine()}, "
        f"data on {filesystem(folder)}",
        "versions": f"Python {platform.python_version()}, Valkey {info.get('valkey_version', '?')}, {libraries}",
        "synced": f"appendonly {synced.get('appendonly')}, appendfsync {synced.get('appendfsync')}",
        "terminals": "simulated, processes of their own, no latency; each change in their journal before the answer",
        "guards": "all on; age, lots, positions and orders per minute raised; a fence before each call",
        **more,
    }


def filesystem(path: Path) -> str:
    """The type of the filesystem that holds `path`, where the machine tells; a sync to memory would cost nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "an unknown filesystem"
    holding = [(len(m[1]), m[2]) for m in mounts if path.resolve().is_relative_to(m[1])]
    return max(holding)[1] if holding else "an unknown filesystem"


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
