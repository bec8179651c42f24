"""Whether `tradecopier` would take a command line, found out from the real commands; nothing is run."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

import deploy
from archiver.settings import Archiver
from deploy.cli import cli
from executor.settings import Settings as Executor
from ingest import settings as ingest
from shared.settings import Postgres, Redis, Security, Table, read, section

EXAMPLE = Path(deploy.__file__).with_name("tradecopier.toml")
SETTING = re.compile(r"TRADECOPIER_[A-Z0-9_]*__[A-Z0-9_]+")
SECTIONS: Mapping[str, type[Table]] = {
    "redis": Redis,
    "postgres": Postgres,
    "security": Security,
    "executor": Executor,
    "archiver": Archiver,
}


def parsed(words: Sequence[str]) -> click.Context:
    """The context in which the command would run. Raises click's errors for what it does not know."""
    context = cli.make_context("tradecopier", list(words))
    while isinstance(group := context.command, click.Group):
        name, command, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    return context


def understood(environment: Mapping[str, str], example: Path = EXAMPLE) -> None:
    """Read the settings as every service would. Raises SettingsError for a key that nobody knows, or a wrong value."""
    document = read(example, environment)
    for name, kind in SECTIONS.items():
        section(document, name, kind)
    ingest.load(document)
