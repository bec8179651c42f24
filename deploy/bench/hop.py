"""The bare hop that everything is compared with: XADD in one process, a blocked XREADGROUP in another, nothing else.

Both ends are as fast as a Python client gets: synchronous, hiredis, a connection of their own, no retries. The moment
before XADD travels in the message, and the reader takes it off the moment its read returned, so that a hop holds the
writing, the sync to disk, the waking of the reader and the parsing. `python -m deploy.bench.hop read|write` is one end;
the server's URL, a secret, comes in the environment.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from typing import Any, cast

from msgspec import Struct
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.process import UserError, tethered
from shared.settings import Secret

URL = "TRADECOPIER_BENCH_URL"
GROUP = "bench"
PATIENCE_S = 30.0
"""How long a hop may take beyond its messages' own pace."""


class Hop(Struct, frozen=True, kw_only=True):
    """One run: so many messages of `size` bytes, on average one in `pace` seconds. `seed` makes their moments."""

    stream: str
    count: int
    size: int
    pace: float
    seed: int


async def measured(url: Secret, hop: Hop) -> list[float]:
    """Run both ends, each in a process of its own; milliseconds per message. Raises UserError when it fails."""
    reader = await _begin(url, "read", hop)
    writer: Process | None = None
    try:
        async with asyncio.timeout(PATIENCE_S + hop.count * hop.pace * 2):
            await _line(reader)
            writer = await _begin(url, "write", hop)
            return cast(list[float], json.loads(await _line(reader)))
    except TimeoutError:
        raise UserError("the bare hop did not end in time") from None
    finally:
        for process in (reader, writer):
            await _end(process)


async def _begin(url: Secret, end: str, hop: Hop) -> Process:
    words = [hop.stream, str(hop.count), str(hop.size), str(hop.pace), str(hop.seed)]
    argv = tethered([sys.executable, "-m", "deploy.bench.hop", end, *words])
    path = os.pathsep.join(p for p in sys.path if p)
    environment = {**os.environ, URL: url.reveal(), "PYTHONPATH": path}
    return await asyncio.create_subprocess_exec(*argv, stdout=PIPE, env=environment, limit=2**24)


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    if line := await process.stdout.readline():
        return line
    raise UserError("one end of the bare hop ended by itself; what it complained about stands above")


async def _end(process: Process | None) -> None:
    if process is not None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def moments(count: int, pace: float, seed: int) -> list[float]:
    """The pauses before each of so many events, in seconds: on average `pace`, and never in step with any clock."""
    chance = random.Random(seed)
    return [pace * chance.uniform(0.5, 1.5) for _ in range(count)]


def read(redis: Redis, hop: Hop) -> list[float]:
    """The reader's end: says that it is there, then reads until all have come. Milliseconds of each."""
    redis.xgroup_create(hop.stream, GROUP, id="$", mkstream=True)
    print("reading", flush=True)
    took: list[float] = []
    while len(took) < hop.count:
        reply = cast(list[Any], redis.xreadgroup(GROUP, "reader", cast(Any, {hop.stream: ">"}), count=1, block=0))
        now = time.time_ns()
        took += [(now - int(fields[b"m"].split(b" ")[0])) / 1e6 for _, fields in reply[0][1]]
    redis.delete(hop.stream)
    return took


def write(redis: Redis, hop: Hop) -> None:
    """The writer's end. The message has the fields of ours, and as many bytes."""
    rest = {b"k": b"k1", b"s": b"0" * 64}
    filling = b"." * max(0, hop.size - sum(len(name) + len(value) for name, value in rest.items()) - len(b"m") - 20)
    for pause in moments(hop.count, hop.pace, hop.seed):
        time.sleep(pause)
        redis.xadd(hop.stream, cast(Any, {b"m": b"%019d %s" % (time.time_ns(), filling), **rest}))


def main() -> None:
    """One end of a hop."""
    parser = argparse.ArgumentParser(prog="deploy.bench.hop")
    parser.add_argument("end", choices=["read", "write"])
    for name, kind in Hop.__annotations__.items():
        parser.add_argument(name, type=kind)
    given = vars(parser.parse_args())
    end, hop = given.pop("end"), Hop(**given)
    redis = Redis.from_url(os.environ[URL], retry=Retry(NoBackoff(), 0), socket_timeout=None)
    if end == "write":
        write(redis, hop)
    else:
        print(json.dumps(read(redis, hop)), flush=True)


if __name__ == "__main__":
    main()
