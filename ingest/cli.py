"""Ingest's commands: `ingest run`, `untold`, `explain`, `record`, `browser`, `pac` and `certificate
install|show|remove`.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ingest.certificate import Step
    from ingest.settings import Places

Point = tuple[str, int]


def _point(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> Point | None:
    """A point of the outbox and the how manieth time it is reached."""
    from ingest.outbox import POINTS
    from shared.points import parse

    try:
        return None if value is None else parse(value, POINTS)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.group()
def cli() -> None:
    """TradingView's side: the proxy and what it captures."""


@cli.command()
@click.option("--ready-file", type=click.Path(path_type=Path), help="Made when the proxy listens, for a supervisor.")
@click.option("--die-at", callback=_point, hidden=True, help="End at once at this point of the outbox.")
@click.pass_obj
def run(config: Path, ready_file: Path | None, die_at: Point | None) -> None:
    """Run the proxy: capture trades and publish them, until stopped."""
    import signal
    from functools import partial

    from msgspec.structs import replace

    from ingest.plan import plan
    from shared.points import signalling
    from shared.process import run as run_service

    found = plan(config, os.environ, ready_file=ready_file)  # a mistake is told before the heavy libraries are loaded
    if die_at is not None:
        found = replace(found, reach=signalling(*die_at, signal.SIGKILL))
    from ingest.service import serve

    run_service(partial(serve, plan=found), "ingest")


@cli.command()
@click.option("--on-proxy-down", type=click.Choice(["direct", "fail"]), help="Overrides ingest.on-proxy-down.")
@click.option("--proxy", help="host:port by which browsers reach the proxy, where that is not ingest.listen.")
@click.pass_obj
def pac(config: Path, on_proxy_down: str | None, proxy: str | None) -> None:
    """Print a PAC file: the trading hosts through the proxy, nothing else."""
    from ingest import scope, settings
    from shared.process import UserError
    from shared.settings import read

    ingest = settings.load(read(config, os.environ))
    if proxy is None and (settings.nearby(ingest.listen) != ingest.listen or ingest.listen.endswith(":0")):
        raise UserError(f"ingest.listen: no browser can be sent to {ingest.listen}: say where it is with --proxy")
    try:
        settings.parse_listen(proxy or ingest.listen, "--proxy")
    except ValueError as error:
        raise UserError(str(error)) from error
    hosts = [host for source in settings.require_sources(ingest) for host in scope.hosts(source)]
    down = {"direct": "direct", "fail": "fail"}.get(on_proxy_down or "", ingest.on_proxy_down)
    click.echo(scope.pac(hosts, proxy or ingest.listen, "fail" if down == "fail" else "direct"), nl=False)


@cli.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.pass_obj
def explain(config: Path, file: Path) -> None:
    """Say what a recording (ours, a flow file of mitmproxy, or HAR) would have become, and why."""
    from itertools import chain

    from ingest import settings
    from ingest.explain import explain as lines
    from ingest.flows import recorded as theirs
    from ingest.har import frames
    from ingest.recording import as_far_as_readable, is_recording
    from ingest.recording import recorded as ours
    from shared.settings import read

    sources = settings.require_sources(settings.load(read(config, os.environ)))
    recording = ours(file) if is_recording(file) else chain(frames(file), theirs(file))
    found, broken = as_far_as_readable(recording)
    for line in lines(found, sources):
        click.echo(line)
    if broken is not None:
        raise broken
    if not found:
        click.echo("nothing is recorded in it")


@cli.command()
@click.argument("file", type=click.Path(exists=False, dir_okay=False, path_type=Path))
@click.option("--minutes", type=click.FloatRange(0.01, 24 * 60), default=10.0, show_default=True, help="How long.")
@click.option("--all", "everything", is_flag=True, help="Trading calls and polls too, not only what nobody knows.")
@click.pass_obj
def record(config: Path, file: Path, minutes: float, everything: bool) -> None:
    """Let the running proxy record what passes on the trading hosts into FILE, without any secret.

    Account ids, sizes and prices stay in it. `ingest explain` reads it.
    """
    import time
    from datetime import UTC, datetime, timedelta

    from ingest import recording

    until = datetime.fromtimestamp(time.time(), UTC) + timedelta(minutes=minutes)
    wish = recording.Wish(file=str(file.absolute()), until=until, everything=everything)
    path = recording.ask(_places(config).outbox, wish)
    click.echo(f"recording into {file} until {until:%H:%M:%S} UTC; end it earlier with Ctrl-C")
    try:
        while path.exists() and time.time() < until.timestamp():
            time.sleep(0.2)
    except KeyboardInterrupt:
        click.echo()
    finally:
        path.unlink(missing_ok=True)
    size = file.stat().st_size if file.exists() else 0
    click.echo(f"{file}: {size} bytes" if size else "nothing was recorded: does the proxy run with these settings?")


@cli.command()
@click.option("--clear", is_flag=True, help="Then list it no more.")
@click.pass_obj
def untold(config: Path, clear: bool) -> None:
    """List what happened at the sources and nobody could be told, because it was over before anybody looked."""
    from ingest import missed, notice

    place = _places(config).outbox
    shown = notice.pictures(place)
    lines = [f"{picture.source}: {line}" for picture in shown for line in missed.lines(picture)]
    for line in lines or ["nothing is listed"]:
        click.echo(line)
    if clear:
        notice.clear(place, shown)


@cli.command(context_settings={"ignore_unknown_options": True})
@click.option(
    "--kind", type=click.Choice(["chromium", "chrome", "edge"]), help="Which browser; the first that is here."
)
@click.option("--program", help="The browser's program, where it is in an unusual place.")
@click.option("--print", "only_print", is_flag=True, help="Print the command and do not run it.")
@click.argument("more", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def browser(config: Path, kind: str | None, program: str | None, only_print: bool, more: tuple[str, ...]) -> None:
    """Open a browser of its own that alone goes through the proxy: nothing is installed, no other program touched.

    What stands behind `--` is handed to the browser.
    """
    import shlex

    from ingest import browser as browsers
    from ingest import certificate as ours
    from ingest import settings
    from shared.settings import read

    ingest = settings.load(read(config, os.environ))
    places = settings.places(ingest, config)
    kinds = [k for k in browsers.KINDS if kind in (None, k)]
    found = program or browsers.find(kinds)
    spki = ours.authority(places.confdir).spki
    argv = browsers.command(found, places.confdir / "browser", settings.nearby(ingest.listen), spki, more=more)
    click.echo(shlex.join(argv))
    if not only_print:
        browsers.start(argv)


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
    return _places(config).confdir


def _places(config: Path) -> "Places":
    from ingest import settings
    from shared.settings import read

    return settings.places(settings.load(read(config, os.environ)), config)
