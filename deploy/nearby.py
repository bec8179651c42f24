"""The archive's and the executor's commands where `up` runs everything: they find its servers, and the simulated
terminals, when the settings name none.

Services are told by `up` where those are; a command that somebody types beside it looks into the data folder.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import click

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


def grouped(name: str, commands: click.Group, told: AtHand) -> click.Group:
    """A service's commands, each told what is at hand, but for what `up` starts or has done before."""
    group = click.Group(name, help=commands.help)
    for each, command in commands.commands.items():
        group.add_command(command if each in BY_ITSELF else nearby(command, told))
    return group
