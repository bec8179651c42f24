"""The archive's commands where `up` runs everything: they find its servers when the settings name none.

Services are told by `up` where the servers are; a command that somebody types beside it looks into the data folder.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import click

from archiver.cli import cli as archive

BY_ITSELF = ("run", "migrate")
"""What `up` starts, and what it has done before."""


def at_hand(config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the settings leave to `up`, as services are told it; nothing when they name a PostgreSQL.

    Raises SettingsError, and UserError when `up` has not run yet.
    """
    from deploy.settings import environment as told
    from deploy.surroundings import found
    from shared.settings import Postgres, Secret, read, section

    if section(read(config, environment), "postgres", Postgres).dsn is not None:
        return {}
    around = found(config, environment)
    terminals = {name: around.machine.data / "terminals" / name / "address" for name in around.machine.simulated}
    addresses = {name: file.read_text().strip() for name, file in terminals.items() if file.exists()}
    return told(around.machine, Secret(around.redis_url()), Secret(around.dsn()), addresses)


def nearby(command: click.Command) -> click.Command:
    """The same command, told what is at hand."""
    act = command.callback
    assert act is not None

    def call(**given: object) -> object:
        os.environ.update(at_hand(click.get_current_context().obj, os.environ))
        return act(**given)

    return click.Command(command.name, params=command.params, callback=call, help=command.help)


archiver = click.Group("archiver", help=archive.help)
for name, command in archive.commands.items():
    archiver.add_command(command if name in BY_ITSELF else nearby(command))
