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
ACTIONS, LONG_DAY = 100, 500


@click.command()
@click.option("--seeds", type=click.IntRange(min=1), default=25, show_default=True, help="How many trials.")
@click.option("--seed", "only", type=click.IntRange(min=0), help="Only this one, to see a failure again.")
@click.option("--first", type=click.IntRange(min=0), default=0, show_default=True, help="The first seed.")
@click.option("--width", type=click.IntRange(min=1), default=WIDTH, show_default=True, help="Trials side by side.")
@click.option(
    "--actions", type=click.IntRange(min=20), help=f"Actions per trial ({ACTIONS}; {LONG_DAY} in a rolling restart)."
)
@click.option("--rolling", is_flag=True, help="Instead: restart every service in turn during one long day.")
@click.option("--keep", is_flag=True, help="Keep logs and journals of failed trials.")
def chaos(
    seeds: int, only: int | None, first: int, width: int, actions: int | None, *, rolling: bool, keep: bool
) -> None:
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
    numbers = list(range(first, first + seeds)) if only is None and not rolling else [only or 0]
    suite = Suite(folder, timing, actions or (LONG_DAY if rolling else ACTIONS), click.echo)
    results = asyncio.run(suite.rolling(numbers[0]) if rolling else suite.run(numbers, width))
    for line in report.summary(results):
        click.echo(line)
    failed = [r for r in results if not r.good] or len(results) < len(numbers) or report.missed(results)
    if failed and keep:
        click.echo(f"logs and journals are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if failed else 0)
