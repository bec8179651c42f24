"""The bare loop that working off a stream is compared with: XREADGROUP of one entry, then one MULTI of XADD and XACK.

As fast as a Python client gets: synchronous, hiredis, one connection, no retries. It reads a group of its own on the
very entries that the executor works off, and writes messages of the size of its outcomes. Called as
`python -m deploy.bench.bare_drain STREAM SINCE ANSWERS SIZE` it prints entries per second; the server's URL, a secret,
comes in the environment.
"""

import asyncio
import os
import sys
from asyncio.subprocess import PIPE
from time import perf_counter
from typing import Any, cast

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.process import UserError, tethered
from shared.settings import Secret

URL = "TRADECOPIER_BENCH_URL"
GROUP = "bare"


async def measured(url: Secret, stream: str, since: str, answers: str, size: int) -> float:
    """Entries per second of the loop, over the entries of a stream after `since`. Raises UserError when it fails."""
    argv = tethered([sys.executable, "-m", "deploy.bench.bare_drain", stream, since, answers, str(size)])
    environment = {**os.environ, URL: url.reveal(), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = await asyncio.create_subprocess_exec(*argv, stdout=PIPE, env=environment)
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise UserError("the bare loop ended by itself; what it complained about stands above")
    return float(said)


def drain(redis: Redis, stream: str, answers: str, size: int) -> float:
    """Work off what the group has not read; entries per second, from the first to the last."""
    message = {b"m": b"." * max(0, size - 69), b"k": b"k1", b"s": b"0" * 64}
    done, began = 0, perf_counter()
    while reply := cast(list[Any], redis.xreadgroup(GROUP, "reader", cast(Any, {stream: ">"}), count=1)):
        for entry, _fields in reply[0][1]:
            with redis.pipeline(transaction=True) as pipe:
                pipe.xadd(answers, cast(Any, message))
                pipe.xack(stream, GROUP, entry)
                pipe.execute()
            done += 1
    return done / (perf_counter() - began)


def main() -> None:
    """The loop on a group made for it, which is gone afterwards, as is what it wrote."""
    stream, since, answers, size = sys.argv[1:]
    redis = Redis.from_url(os.environ[URL], retry=Retry(NoBackoff(), 0), socket_timeout=None)
    redis.xgroup_create(stream, GROUP, id=since)
    print(drain(redis, stream, answers, int(size)), flush=True)
    redis.xgroup_destroy(stream, GROUP)
    redis.delete(answers)


if __name__ == "__main__":
    main()
