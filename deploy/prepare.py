"""`tradecopier prepare`: what has to be there before services start that `up` does not start: groups and tables.

A new account's group begins where the stream ends at that moment, so this runs before ingest listens. Running it again
changes nothing.
"""

import asyncio
import os
from functools import partial
from pathlib import Path

import click

from deploy import settings
from deploy.groundwork import join_groups, migrated, remembered_by
from deploy.settings import Machine
from shared.addresses import postgres_dsn, redis_url
from shared.settings import Secret


@click.command()
@click.pass_obj
def prepare(config: Path) -> None:
    """Make the consumer groups in Redis and the tables in PostgreSQL, where they are missing."""
    machine = settings.load(config, None, os.environ)
    lost = asyncio.run(laid(machine))
    accounts = ", ".join(name for name in machine.executor.accounts if name not in lost)
    click.echo(f"ready: the groups of {accounts} and of the archive, and the archive's tables")


async def laid(machine: Machine) -> list[str]:
    """Prepare both servers; answers which accounts Redis has lost.

    Raises UserError when a server cannot be used, or the settings name none.
    """
    from deploy.surroundings import Surroundings

    redis, postgres = Secret(redis_url(machine.redis)), Secret(postgres_dsn(machine.postgres))
    await migrated(postgres)
    namespace = machine.redis.namespace
    codec = Surroundings(machine=machine).codec()
    return await join_groups(redis, codec, machine.executor.accounts, partial(remembered_by, postgres, namespace))
