"""`tradecopier replay` and `resolve`: what an operator does about facts that ended without effect, or never ended.

Both only ask. The account's lane decides when it does it, under its lease, by what is so then.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from deploy.operate import DATA
from shared.outcomes import Result

MOMENT = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"])


@click.command()
@click.option("--account", required=True, help="The account on which to try them again.")
@click.option("--dead", is_flag=True, help="Facts that were given up, and dead letters that can be read by now.")
@click.option("--denied", metavar="REASON", help="Facts refused for this reason (`any`: for whatever reason).")
@click.option("--unfinished", is_flag=True, help="Facts that were never answered and that nobody works at.")
@click.option("--id", "fact", help="This fact.")
@click.option("--from", "since", type=MOMENT, help="Captured at or after this moment (UTC).")
@click.option("--to", "until", type=MOMENT, help="Captured before this moment (UTC).")
@click.option("--dry-run", is_flag=True, help="Only list them, with what would happen now.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def replay(
    config: Path,
    *,
    account: str,
    dead: bool,
    denied: str | None,
    unfinished: bool,
    fact: str | None,
    since: datetime | None,
    until: datetime | None,
    dry_run: bool,
    yes: bool,
    data: Path | None,
) -> None:
    """Try again, on one account, what ended there without effect.

    Openings act at the source's present size and levels, and only while the source still shows them; the guards hold,
    but for the age. Closes, cancels and levels lead to where the source was after them, if nothing newer was followed.
    """
    from deploy.trying import carry_out
    from executor.replay import Wish

    first, last = (moment.replace(tzinfo=UTC) if moment else None for moment in (since, until))
    wish = Wish(dead=dead, denied=denied or "", unfinished=unfinished, id=fact or "", since=first, until=last)
    carry_out(config, os.environ, data, account, wish, dry_run=dry_run, yes=yes)


@click.command()
@click.option("--account", required=True, help="The account on which it is to end.")
@click.option("--id", "fact", help="A fact that is unresolved or owed.")
@click.option("--entry", help="An entry that is held because it cannot be read.")
@click.option("--link", help="A position that owes an exit, as SOURCE/ACCOUNT/POSITION.")
@click.option("--as", "result", required=True, type=click.Choice(get_args(Result)), help="What became of it.")
@click.option("--note", default="", help="Why; it stands in the outcome.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@click.pass_obj
def resolve(
    config: Path,
    *,
    account: str,
    fact: str | None,
    entry: str | None,
    link: str | None,
    result: Result,
    note: str,
    yes: bool,
    data: Path | None,
) -> None:
    """End by hand what nothing else can: a fact whose end nobody knows, an exit that stays owed, an unreadable entry.

    Look into the terminal first. What is said here counts, but not against what the terminal shows.
    """
    from deploy.ending import carry_out

    carry_out(config, os.environ, data, account, {"fact": fact, "entry": entry, "link": link}, result, note, yes=yes)
