"""Ingest's commands: `ingest run`, `explain`, `pac` and `certificate install|show|remove`."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ingest.certificate import Step


@click.group()
def cli() -> None:
    """TradingView's side: the proxy and what it captures."""


@cli.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="Made when the proxy listens, for a supervisor.")
@click.pass_obj
def run(config: Path, ready_file: Path | None) -> None:
    """Run the proxy: capture trades and publish them, until stopped."""
    from functools import partial

    from ingest.plan import plan
    from shared.process import run as run_service

    found = plan(config, os.environ, ready_file=ready_file)  # a mistake is told before the heavy libraries are loaded
    from ingest.service import serve

    run_service(partial(serve, plan=found), "ingest")


@cli.command()
@click.option("--on-proxy-down", type=click.Choice(["direct", "fail"]), help="Overrides ingest.on-proxy-down.")
@click.pass_obj
def pac(config: Path, on_proxy_down: str | None) -> None:
    """Print a PAC file: the trading hosts through the proxy, nothing else."""
    from ingest import scope, settings
    from shared.settings import read

    ingest = settings.load(read(config, os.environ))
    hosts = [host for source in settings.require_sources(ingest) for host in scope.hosts(source)]
    down = {"direct": "direct", "fail": "fail"}.get(on_proxy_down or "", ingest.on_proxy_down)
    click.echo(scope.pac(hosts, ingest.listen, "fail" if down == "fail" else "direct"), nl=False)


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def explain(config: Path, file: Path) -> None:
    """Say what a recording (a flow file of mitmproxy, or HAR) would have become, and why."""
    from ingest import settings
    from ingest.explain import explain as lines
    from ingest.tap import recorded
    from shared.settings import read

    sources = settings.require_sources(settings.load(read(config, os.environ)))
    for line in lines(recorded(file), sources):
        click.echo(line)


@cli.group()
def certificate() -> None:
    """The proxy's certificate authority: make this computer trust it, or no more."""


@certificate.command()
@click.pass_obj
def install(config: Path) -> None:
    """Make this computer and its browsers trust the proxy."""
    from ingest import certificate as ours

    found, system = ours.authority(_confdir(config)), ours.look()
    _carry_out(ours.install(found, system))
    click.echo("to undo this: tradecopier ingest certificate remove")


@certificate.command()
@click.pass_obj
def remove(config: Path) -> None:
    """Undo `install`."""
    from ingest import certificate as ours

    _carry_out(ours.remove(ours.authority(_confdir(config)), ours.look()))


@certificate.command()
@click.pass_obj
def show(config: Path) -> None:
    """Show the certificate, and where this computer trusts it."""
    from ingest import certificate as ours

    found = ours.authority(_confdir(config))
    click.echo(f"file      {found.pem}\nsubject   {found.subject}\nSHA-256   {found.sha256}")
    click.echo(f"expires   {found.expires:%Y-%m-%d}")
    click.echo(f"Chromium  --ignore-certificate-errors-spki-list={found.spki}")
    for step in ours.show(found, ours.look()):
        for line, _ in ours.carry_out([step], ours.execute):
            click.echo(line)


def _carry_out(steps: "Iterable[Step]") -> None:
    from ingest import certificate as ours

    done = []
    for line, went_well in ours.carry_out(steps, ours.execute):
        click.echo(line)
        done.append(went_well)
    if not all(done):
        raise SystemExit(1)


def _confdir(config: Path) -> Path:
    from ingest import settings
    from shared.settings import read

    return settings.places(settings.load(read(config, os.environ)), config).confdir
