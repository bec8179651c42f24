"""`tradecopier status`: the big light with its reasons, every source and account, once or as a live screen."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import time

import click
import msgspec

from deploy.light import Light, age, light, span
from deploy.looking import AccountSeen, Seen, SourceSeen, look
from deploy.surroundings import Surroundings, found
from shared.process import UserError

EVERY_S = 1.0
COPIERS = ("ingest", "executor")
"""Without these nothing is copied yet."""
COPYING = {"green": "COPYING", "yellow": "COPYING, BUT", "red": "NOT ALL IS WELL"}
HOME_AND_CLEAR = "\x1b[H\x1b[J"
NOT_WELL = 1


def show(config: Path, data: Path | None, *, watch: bool, as_json: bool) -> int:
    """Show it; returns the exit code, 1 when the light is red. Raises UserError when there is nothing to look at."""
    if watch and as_json:
        raise UserError("give --watch or --json, not both")
    surroundings = found(config, os.environ, data)
    if watch:
        _watch(surroundings)
        return 0
    seen = asyncio.run(look(surroundings, _now()))
    judged = light(seen)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"light": judged, "seen": seen}), indent=2))
    else:
        for line in lines(seen, judged):
            click.echo(line)
    return NOT_WELL if judged.colour == "red" else 0


def lines(seen: Seen, judged: Light) -> Iterator[str]:
    """The screen."""
    head = "STARTING" if judged.colour == "yellow" and {*COPIERS} & seen.starting else COPYING[judged.colour]
    yield click.style(f" {head} ", bg=judged.colour, fg="black", bold=True)
    for reason in judged.reasons:
        yield f"  {click.style('●', fg=reason.colour)} {reason.text}"
    if seen.trouble:
        return
    yield ""
    for source in seen.sources:
        yield from _source(source, seen.at)
    for account in seen.accounts:
        yield ""
        yield from _account(account, seen.at)


def _source(source: SourceSeen, now: datetime) -> Iterator[str]:
    polled = age(source.vitals.polled, now) if source.vitals else None
    looked = "never looked at" if polled is None else f"looked at {span(polled)} ago"
    waiting = f", {source.vitals.waiting} waiting on disk" if source.vitals and source.vitals.waiting else ""
    yield f"source {source.name}: {looked}{waiting}"
    for held in source.positions:
        yield f"    {held.instrument:<12} {held.quantity:+f}"
    for text in source.vitals.untold[-5:] if source.vitals else ():
        yield f"    not told: {text}"


def _account(account: AccountSeen, now: datetime) -> Iterator[str]:
    told = account.vitals
    state = account.mode if account.live or account.mode in ("halted", "close-only") else "shadow"
    identity = f" {told.identity}, {told.margin}" if told and told.identity else ""
    yield f"account {account.name}:{identity}, {state or 'never begun'}, follows {', '.join(account.sources)}"
    if told is None:
        return
    if told.equity is not None:
        ping = f", ping {told.ping * 1000:.0f} ms" if told.ping is not None else ""
        terminal = "connected" if told.connected else "NOT connected"
        algo = "on" if told.algo else "OFF"
        yield f"    terminal {terminal}, algo trading {algo}{ping}; equity {told.equity:,.2f} {told.currency}"
    last = account.last
    if last is not None:
        ago = span((now - last.at).total_seconds())
        yield f"    last trade {ago} ago: {last.instrument} {last.result}, copied in {last.took * 1000:.0f} ms"
    lag = "?" if account.lag is None else account.lag
    yield f"    unread {lag}, in work {account.pending}, unfinished {told.unresolved}, owed {told.owed}"
    for position in told.positions:
        yield f"    {position.symbol:<12} {position.lots:+f} lots for {position.followed:+f} at the source"
    for text in told.drift:
        yield f"    drift: {text}"


def _watch(surroundings: Surroundings) -> None:
    try:
        while True:
            asyncio.run(_screen(surroundings))
    except KeyboardInterrupt:
        click.echo()


async def _screen(surroundings: Surroundings) -> None:
    seen = await look(surroundings, _now())
    shown = "\n".join(lines(seen, light(seen)))
    head = f"TradeCopier at {seen.at.astimezone():%H:%M:%S}, Ctrl-C to leave"
    click.echo(f"{HOME_AND_CLEAR}{head}\n\n{shown}")
    await asyncio.sleep(EVERY_S)


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)
