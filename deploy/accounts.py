"""`tradecopier account list|add|remove|repoint|seal`."""

from pathlib import Path

import click

from deploy.operate import DATA


@click.group("account")
def account() -> None:
    """The accounts that are copied to: list them, add or remove one, or let one be another login's."""


@account.command("list")
@DATA
@click.pass_obj
def list_accounts(config: Path, data: Path | None) -> None:
    """Every account: its login, its state, what it has not read, and what it holds."""
    from deploy.reception import list_all

    list_all(config, data)


@account.command("add")
@click.argument("name")
@click.option("--afresh", is_flag=True, help="Although the archive remembers it: what it held is not ours any more.")
@DATA
@click.pass_obj
def add_account(config: Path, name: str, *, afresh: bool, data: Path | None) -> None:
    """Let an account of the settings join: it follows what is traded from now on."""
    from deploy.reception import add

    add(config, data, name, afresh=afresh)


@account.command("remove")
@click.argument("name")
@click.option("--flatten", is_flag=True, help="Close first everything that is ours on it.")
@click.option("--abandon", is_flag=True, help="Although Redis cannot say what it holds: that is forgotten.")
@click.option("--yes", metavar="NAME", help="Instead of being asked: the account's name.")
@DATA
@click.pass_obj
def remove_account(
    config: Path, name: str, *, flatten: bool, abandon: bool, yes: str | None, data: Path | None
) -> None:
    """Take an account out. What it holds stays open at its broker, unless --flatten closes it first."""
    from deploy.reception import give_up, remove

    if abandon and flatten:
        raise click.UsageError("--flatten closes what is remembered, and --abandon is for what nobody believes")
    if abandon:
        give_up(config, data, name, yes=yes)
    else:
        remove(config, data, name, flatten=flatten, yes=yes)


@account.command("repoint")
@click.argument("name")
@click.option("--abandon", is_flag=True, help="Although it holds something: that stays open there and is forgotten.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def repoint_account(config: Path, name: str, *, abandon: bool, yes: bool, data: Path | None) -> None:
    """Let another login work under an account's name: it follows on from where the name has read to."""
    from deploy.reception import repoint

    repoint(config, data, name, abandon=abandon, yes=yes)


@account.command("seal")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every account whose memory has no sound seal.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def seal_account(config: Path, names: tuple[str, ...], *, everything: bool, yes: bool, data: Path | None) -> None:
    """Show what Redis remembers of an account, and seal it as it is: once, after an upgrade from a version without.

    Whoever can write to Redis could have written it: compare it with the terminal. `restore` brings back what the
    archive has instead.
    """
    from deploy.vouching import show

    show(config, data, names, everything=everything, yes=yes)
