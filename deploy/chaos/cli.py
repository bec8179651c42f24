"""The command `chaos`; exit code 1 when something was lost, doubled, silent or wrong."""

import asyncio
import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

WIDTH = 4
ACTIONS = 100


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=25, show_default=True, help="How many trials.")
@click.option("--seed", "only", type=click.IntRange(min=0), help="Only this one, to see a failure again.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--width", type=click.IntRange(min=1), default=WIDTH, show_default=True, help="Trials side by side.")
@click.option("--actions", type=click.IntRange(min=20), default=ACTIONS, show_default=True, help="Actions per trial.")
@click.option("--keep", is_flag=True, help="Keep logs and journals of failed trials.")
def chaos(seeds: int, only: int | None, first: int, width: int, actions: int, *, keep: bool) -> None:
    """Break everything while trades are copied, and see that none is lost, doubled or silent."""
    from deploy.chaos import report
    from deploy.chaos.suite import Suite
    from deploy.chaos.timing import SCALE, shipped
    from deploy.fleet import folder_mode
    from shared.settings import PREFIX

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]  # the trials have settings of their own
    logging.getLogger().setLevel(logging.ERROR)
    timing = shipped().over(SCALE)
    click.echo(f"{timing.line}: the shipped defaults, {SCALE:g} times faster")
    folder = Path(tempfile.mkdtemp(prefix="tradecopier-chaos-"))
    folder.chmod(folder_mode())
    numbers = [only] if only is not None else range(first, first + seeds)
    suite = Suite(folder, timing, actions, click.echo)
    results = asyncio.run(suite.run(list(numbers), width))
    for line in report.summary(results):
        click.echo(line)
    failed = [r for r in results if not r.good] or len(results) < len(numbers)
    if failed and keep:
        click.echo(f"logs and journals are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)
