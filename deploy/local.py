"""`tradecopier up`: everything on this machine under one supervisor, until Ctrl-C."""

import asyncio
import logging
import os
import sys
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from time import time
from typing import Any

import click

from deploy import settings
from deploy.fleet import Fleet
from deploy.newcomers import Newcomers
from deploy.settings import Machine
from deploy.tail import Tail
from shared import process
from shared.process import Stop

STOP_GRACE_S = 120.0


@click.command()
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for everything kept (default: data, beside the settings file).",
)
@click.pass_obj
def up(config: Path, data: Path | None) -> None:
    """Run everything on this machine: the proxy, the copier, the archive, and the servers they need."""
    machine = settings.load(config, data, os.environ)
    process.run(lambda stop: serve(machine, stop), "up", grace=STOP_GRACE_S)


async def serve(machine: Machine, stop: Stop) -> None:
    """Start everything, run until `stop` is requested, stop everything."""
    form = "readable" if sys.stderr.isatty() else "json"
    level = logging.getLevelName(logging.root.level).lower()
    fleet = Fleet(machine, stop, ("--log-level", level, "--log-form", form))
    try:
        if await unless_stopped(stop, fleet.start()):
            for line in [*welcome(machine), *await left_to_do(machine)]:
                click.echo(line)
            # Only from here on: what keeps a service from starting has been told in one line.
            tail = Tail(fleet.logs)
            stop.supervise(tail.show(partial(click.echo, err=True)), "logs")
            stop.supervise(Newcomers(fleet, os.environ, tail.also).watch(), "settings")
            await stop.wait()
            tail.close()
    finally:
        await fleet.stop()


def welcome(machine: Machine) -> list[str]:
    """What a user wants to know once everything runs."""
    accounts = ", ".join(f"{name} ({'live' if a.live else 'shadow'})" for name, a in machine.executor.accounts.items())
    return [
        f"TradeCopier runs. The proxy is {machine.ingest.listen}; accounts: {accounts}.",
        f"Logs are in {machine.data / 'log'}. Ctrl-C stops everything; nothing that was accepted is lost.",
    ]


async def left_to_do(machine: Machine) -> list[str]:
    """What `status` would say is not as it should be."""
    from deploy.light import light
    from deploy.looking import look
    from deploy.surroundings import Surroundings

    seen = await look(Surroundings(machine=machine), datetime.fromtimestamp(time(), UTC))
    return [f"  ● {reason.text}" for reason in light(seen).reasons]


async def unless_stopped(stop: Stop, work: Coroutine[Any, Any, None]) -> bool:
    """Whether `work` came to its end before a stop was requested; else it is cancelled. Raises what it raises."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await process.cancelled(task, stopped)
    if task.cancelled():
        return False
    await task
    return True
