"""`tradecopier restore`: what Redis has lost is rebuilt from the archive."""

from pathlib import Path

import click

from deploy.operate import DATA


@click.command()
@click.option("--account", "accounts", multiple=True, help="This account (can be repeated; default: all that need it).")
@click.option("--dry-run", is_flag=True, help="Only say what would be restored.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def restore(config: Path, accounts: tuple[str, ...], *, dry_run: bool, yes: bool, data: Path | None) -> None:
    """Rebuild from the archive what Redis has lost of accounts and sources.

    Without --account these are the accounts whose group is gone, and those of which the archive knows more. They open
    nothing until `resume`.
    """
    from deploy.rebuilding import show

    show(config, data, accounts, dry_run=dry_run, yes=yes)
