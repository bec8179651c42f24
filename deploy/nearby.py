"""The archive's and the executor's commands where `up` runs everything: they find its servers, and the simulated
terminals, when the settings name none.

Services are told by `up` where those are; a command that somebody types beside it looks into the data folder.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from archiver.cli import cli as archive
from executor.cli import cli as execution

BY_ITSELF = ("run", "migrate")
"""What `up` starts, and what it has done before."""

AtHand = Callable[[Path, Mapping[str, str]], Mapping[str, str]]


def at_hand(config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """What the settings leave to `up`, as services are told it; nothing when they name a PostgreSQL.

    Raises SettingsError, and UserError when `up` has not run yet.
    """
    from deploy.settings import environment as told
    from deploy.settings import started
    from deploy.surroundings import found
    from shared.settings import Postgres, Secret, read, section

    if section(read(config, environment), "postgres", Postgres).dsn is not None:
        return {}
    around = found(config, environment)
    addresses = started(around.executor, around.machine.data)
    return told(around.machine, Secret(around.redis_url()), Secret(around.dsn()), addresses)


def terminals_at_hand(config: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Where the simulated terminals are that the settings leave to `up`, as services are told it. Raises SettingsError.

    An executor may have a machine to itself, whose settings say nothing of what else there is.
    """
    from deploy.settings import beside, of_terminals, started
    from executor.settings import Settings
    from shared.settings import read, section

    own = section(read(config, environment), "executor", Settings)
    return of_terminals(started(own, beside(config)))


def nearby(command: click.Command, told: AtHand = at_hand) -> click.Command:
    """The same command, told what is at hand."""
    act = command.callback
    assert act is not None

    def call(**given: object) -> object:
        os.environ.update(told(click.get_current_context().obj, os.environ))
        return act(**given)

    return click.Command(command.name, params=command.params, callback=call, help=command.help)


archiver = click.Group("archiver", help=archive.help)
for name, command in archive.commands.items():
    archiver.add_command(command if name in BY_ITSELF else nearby(command))

executor = click.Group("executor", help=execution.help)
for name, command in execution.commands.items():
    executor.add_command(command if name in BY_ITSELF else nearby(command, terminals_at_hand))
