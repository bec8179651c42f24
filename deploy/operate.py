"""The commands of an operator: `status`, `doctor`, `dead-letters`, `pause`, `close-only`, `flatten` and `resume`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from executor.states import Command

DATA = click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The data folder of `up`.")


@click.command()
@click.option("--watch", is_flag=True, help="Stay, and look again every second.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, for a program.")
@DATA
@click.pass_obj
def status(config: Path, *, watch: bool, as_json: bool, data: Path | None) -> None:
    """Is everything copied? The light, its reasons, and every source and account. Exit code 1 when it is red."""
    from deploy.status import show

    sys.exit(show(config, data, watch=watch, as_json=as_json))


@click.command()
@DATA
@click.pass_obj
def doctor(config: Path, *, data: Path | None) -> None:
    """Look at everything that copying needs, and say what has to be mended. Exit code 1 when something fails."""
    from deploy.doctor import show

    sys.exit(show(config, data))


@click.command()
@click.option("--clear", is_flag=True, help="You have seen them: take away those that are listed.")
@DATA
@click.pass_obj
def dead_letters(config: Path, *, clear: bool, data: Path | None) -> None:
    """List the entries that could not be followed or stored: who gave each up, and why."""
    from deploy.letters import show

    show(config, data, clear=clear)


def _order(command: "Command", summary: str, *, asks: bool = False) -> click.Command:
    @click.command(command, help=summary)
    @click.argument("accounts", nargs=-1)
    @click.option("--all", "everything", is_flag=True, help="Every account of the settings.")
    @DATA
    @click.pass_obj
    def told(
        config: Path, accounts: tuple[str, ...], *, everything: bool, data: Path | None, yes: str | None = None
    ) -> None:
        from deploy.control import carry_out

        carry_out(config, data, command, accounts, everything, yes)

    if asks:
        told.params.append(
            click.Option(["--yes"], metavar=command.upper(), help=f"Instead of being asked: the word `{command}`.")
        )
    return told


pause = _order("pause", "Send nothing at all to accounts, not even exits, until `resume`.", asks=True)
close_only = _order("close-only", "Open nothing on accounts; closes, stops and cancels go on.")
flatten = _order("flatten", "Close everything that is ours on accounts, and open nothing until `resume`.", asks=True)
resume = _order("resume", "Follow again. Asks where facts were removed and not restored.", asks=True)
