"""The `tradecopier` command: one group that gathers the commands of all services and imports each only when it is
used.

Looking at the list of commands imports nothing but the list below; a command whose module is broken or missing fails
alone. What a user can mend ends in one line and exit code 2.
"""

import importlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import click

from shared import logs
from shared.process import MENDABLE, UserError
from shared.version import VERSION

DEFAULT_CONFIG = Path("tradecopier.toml")
STOPPED = 130
"""Exit code after Ctrl-C, as a shell has it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command is defined, and what the list of commands says about it."""

    module: str
    attribute: str
    summary: str
    configured: bool = True


COMMANDS = {
    "demo": Entry(
        "deploy.demo.cli",
        "demo",
        "Watch TradingView orders become MetaTrader 5 trades, simulated.",
        configured=False,
    ),
    "up": Entry("deploy.local", "up", "Run everything on this machine under one supervisor."),
    "prepare": Entry("deploy.prepare", "prepare", "Make what services that run by themselves need in the servers."),
    "acl": Entry("deploy.aclfile", "command", "Write the Redis users: one for each service, with the fewest rights."),
    "key": Entry("deploy.keys", "cli", "The keys that entries are signed with: list, add, use, retire."),
    "status": Entry("deploy.operate", "status", "Is everything copied? What is not, and why?"),
    "doctor": Entry("deploy.operate", "doctor", "What has to be mended before money is at risk."),
    "dead-letters": Entry("deploy.operate", "dead_letters", "What could not be followed or stored, and why."),
    "pause": Entry("deploy.operate", "pause", "Send nothing at all to accounts, not even exits."),
    "close-only": Entry("deploy.operate", "close_only", "Open nothing on accounts; exits go on."),
    "flatten": Entry("deploy.operate", "flatten", "Close everything that is ours on accounts."),
    "resume": Entry("deploy.operate", "resume", "Follow again."),
    "replay": Entry("deploy.replay", "replay", "Try again on an account what ended there without effect."),
    "resolve": Entry("deploy.replay", "resolve", "End by hand what nothing else can."),
    "reconcile": Entry("deploy.reconcile", "reconcile", "On what an account and its sources disagree; mend it."),
    "account": Entry("deploy.accounts", "account", "The accounts that are copied to: list, add, remove, repoint."),
    "restore": Entry("deploy.restore", "restore", "Rebuild from the archive what Redis has lost."),
    "ingest": Entry("ingest.cli", "cli", "TradingView's side: the proxy and what it captures."),
    "executor": Entry("deploy.executing", "executor", "MetaTrader 5's side: copy to accounts, check them."),
    "archiver": Entry("deploy.archiving", "archiver", "Keep everything in PostgreSQL."),
    "journal": Entry("deploy.verify", "journal", "The trades, with prices, money and how long each copy took."),
    "chaos": Entry(
        "deploy.chaos.cli", "chaos", "Break everything while trades are copied, and check each one.", configured=False
    ),
    "simulator": Entry(
        "executor.mt5.simulator.cli", "simulator", "Run a simulated MetaTrader 5 alone.", configured=False
    ),
    "bench": Entry("deploy.bench.cli", "bench", "Measure on this machine.", configured=False),
}
"""All commands, in the order of their importance to someone new."""


class Commands(click.Group):
    """A group whose members are imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name, entry in COMMANDS.items() if exists(entry.module)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return Deferred(cmd_name, entry) if (entry := COMMANDS.get(cmd_name)) is not None else None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"tradecopier: {error}", err=True)
            ctx.exit(MENDABLE)
        except KeyboardInterrupt:  # before a service listens to signals, or where nothing has to be cleared away
            ctx.exit(STOPPED)


class Deferred(click.Command):
    """Stands in the list for a command and becomes it when it is called or asked for help."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, short_help=entry.summary)
        self.entry = entry

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        return load(self.entry).make_context(info_name, args, parent, **extra)


def exists(module: str) -> bool:
    """Whether the module is part of this installation; imports no more than the packages above it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def load(entry: Entry) -> click.Command:
    """Import a command; UserError when it is not part of this installation."""
    if not exists(entry.module):
        raise UserError(f"this command is not part of this installation: there is no {entry.module}")
    command = cast(click.Command, getattr(importlib.import_module(entry.module), entry.attribute))
    if entry.configured:
        accept_config(command)
    return command


def accept_config(command: click.Command) -> None:
    """Let `--config` be given behind a sub-command too, where most people look for it."""
    if isinstance(command, click.Group):
        for member in command.commands.values():
            accept_config(member)
    elif not any(parameter.name == "config" for parameter in command.params):
        command.params.append(config_option(expose_value=False, callback=remember_config))


def config_option(**settings: Any) -> click.Option:
    """The option `--config FILE`; the path reaches commands as the context's object."""
    return click.Option(
        ["--config"],
        type=click.Path(path_type=Path),
        help=f"The settings file (default: {DEFAULT_CONFIG}).",
        **settings,
    )


def remember_config(ctx: click.Context, _parameter: click.Parameter, value: Path | None) -> None:
    """Replace the settings file that was given further up, if one is given here."""
    if value is not None:
        ctx.obj = value


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]}, params=[config_option()])
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--log-form", type=click.Choice(["auto", "json", "readable"]), default="auto", show_default=True)
@click.version_option(VERSION, prog_name="tradecopier")
@click.pass_context
def cli(ctx: click.Context, config: Path | None, log_level: str, log_form: logs.Form) -> None:
    """Copy what a trader does in TradingView to MetaTrader 5 accounts."""
    ctx.obj = config or DEFAULT_CONFIG
    logs.configure("tradecopier", log_level.upper(), log_form)


def main() -> None:
    """Entry point; never returns."""
    sys.exit(cli.main(prog_name="tradecopier"))
