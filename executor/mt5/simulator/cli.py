"""`tradecopier simulator`: a MetaTrader 5 that runs anywhere, alone, for whoever wants one without Windows."""

import os
from pathlib import Path
from typing import Any

import click

from shared import vault

DEFAULT_STATE = Path("simulated-terminal")
DEFAULT_LISTEN = "127.0.0.1:18812"
VARIABLE = "SIMULATOR_PASSWORD"
"""Of the environment: it may hold the password."""


@click.command()
@click.option("--listen", default=DEFAULT_LISTEN, show_default=True, help="Where it serves; port 0 takes a free one.")
@click.option(
    "--state", type=click.Path(file_okay=False, path_type=Path), default=DEFAULT_STATE, show_default=True,
    help="The folder of the account; what is there goes on.",
)  # fmt: skip
@click.option("--login", type=click.IntRange(min=1), default=1001, show_default=True)
@click.option("--server", default="Simulator-Demo", show_default=True)
@click.option("--margin-mode", type=click.Choice(["hedging", "netting"]), default="hedging", show_default=True)
@click.option("--balance", default="10000", show_default=True, help="The first deposit, in --currency.")
@click.option("--currency", default="USD", show_default=True)
@click.option("--leverage", type=click.IntRange(min=1), default=100, show_default=True)
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Two terminals with one seed agree on every price."
)
@click.option("--prices", type=click.Choice(["walk", "still"]), default="walk", show_default=True)
@click.option("--suffix", default="", help='What this broker appends to every symbol, such as ".raw".')
@click.option(
    "--password-file", type=click.Path(dir_okay=False, path_type=Path),
    help=f"A file that is ours alone with the password of whoever logs in (or in the environment, as {VARIABLE}).",
)  # fmt: skip
def simulator(listen: str, state: Path, password_file: Path | None, **options: Any) -> None:
    """Run a simulated MetaTrader 5 terminal with one account until Ctrl-C.

    It answers what the MetaTrader5 package would; `initialize("HOST:PORT")` of the module
    executor.mt5.simulator.client reaches it from Python, and the settings printed here from TradeCopier.
    """
    import sys

    import msgspec

    from executor.mt5.simulator import server
    from executor.mt5.simulator.machine import Options
    from shared.process import UserError

    try:
        chosen = msgspec.convert(options | {"password": _password(password_file)}, Options, strict=False)
    except msgspec.ValidationError as error:
        raise UserError(f"--{str(error).rpartition('$.')[2].rstrip('`')}: {error}") from error
    sys.exit(server.run(chosen, listen, state, lambda address: _welcome(address, chosen.login, chosen.server)))


def _password(file: Path | None) -> str:
    """What is asked of whoever logs in; empty asks nothing. An argument could be read by every user of the machine."""
    return vault.found(f"file:{file}") if file is not None else os.environ.get(VARIABLE, "")


def _welcome(address: str, login: int, server: str) -> None:
    """The settings that reach it."""
    for line in (
        f"A simulated MetaTrader 5 runs at {address}. To copy to it:",
        "",
        "[executor.accounts.NAME.terminal]",
        'kind = "simulated"',
        f'address = "{address}"',
        f"login = {login}",
        f'server = "{server}"',
        "",
        "Ctrl-C stops it; the account stays on disk.",
    ):
        click.echo(line)
