"""Who is copied to: accounts are listed, join, leave and become another login's while all others trade on."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time
from typing import Any

import click
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from archiver.originals import Archive
from archiver.patience import Away
from deploy import abandoning, control, forgetting, membership
from deploy.custody import custody
from deploy.standing import Standing, counted, holding, known, standing
from deploy.surroundings import Surroundings, found
from executor.settings import Account, MetaTrader5
from shared import streams, vitals
from shared.plainly import plainly
from shared.process import UserError
from shared.settings import SettingsError
from shared.streams import Keys

ABANDONED = (
    "Which positions and orders are its own, what it owes and how far it has followed is deleted, and told to nobody. "
    "All that it has open STAYS OPEN at its broker, and nobody closes it: look into its terminal first."
)
SILENT_S = 5.0
LOOK_S = 0.2
SAY_S = 2.0


class Desk(Struct, frozen=True):
    """What a command works with."""

    surroundings: Surroundings
    redis: Redis

    @property
    def keys(self) -> Keys:
        """The namespace's keys."""
        return self.surroundings.keys

    @property
    def accounts(self) -> dict[str, Account]:
        """The accounts of the settings."""
        return dict(self.surroundings.executor.accounts)

    async def look(self, name: str) -> Standing:
        """How an account stands in Redis."""
        return await standing(self.redis, self.keys, name)


def list_all(config: Path, data: Path | None) -> None:
    """Say a few lines of every account."""

    async def listed(desk: Desk) -> None:
        for name in dict.fromkeys((*desk.accounts, *await known(desk.redis, desk.keys))):
            now = await desk.look(name)
            for text in (*lines(now, in_settings=name in desk.accounts), *await _disbelieved(desk, now)):
                click.echo(text)

    _run(config, data, listed)


async def _disbelieved(desk: Desk, now: Standing) -> list[str]:
    """Why nothing is sent for an account whose memory is not as it was sealed."""
    if now.group in ("removed", "lost"):
        return []
    try:
        codec = desk.surroundings.codec()
    except SettingsError:
        return []  # without the key nobody can tell
    why = await abandoning.why(desk.redis, desk.keys, codec, now.account)
    return [f"    {why}"] if why else []


def add(config: Path, data: Path | None, name: str, *, afresh: bool) -> None:
    """Let an account of the settings join."""

    async def added(desk: Desk) -> None:
        if name not in desk.accounts:
            raise UserError(f"write [executor.accounts.{name}] into the settings file first, then add it")
        click.echo(await joined(desk, name, afresh=afresh))

    _run(config, data, added)


def remove(config: Path, data: Path | None, name: str, *, flatten: bool, yes: str | None) -> None:
    """Take an account out."""

    async def removed(desk: Desk) -> None:
        now = await desk.look(name)
        if now.group in ("lost", "removed") and not now.links:
            raise UserError(f"there is no account {name} to remove")
        _confirm(name, now, flatten=flatten, yes=yes)
        if flatten:
            await flattened(desk, name)
        async with custody(desk.redis, desk.keys, [name], "remove") as tokens:
            now = await desk.look(name)
            if flatten and (now.open or now.unsettled or now.strange):
                raise UserError(f"{name} is not flat any more, {left_of(now)}: nothing was removed, try again")
            codec = desk.surroundings.codec()
            await membership.remove(desk.redis, desk.keys, codec, tokens[name], name)
        click.echo(f"{name}: removed; it left {left_of(now)}. Take [executor.accounts.{name}] out of the settings file")

    _run(config, data, removed)


def give_up(config: Path, data: Path | None, name: str, *, yes: str | None) -> None:
    """Take an account out although Redis cannot say what it holds."""

    async def abandoned(desk: Desk) -> None:
        codec = desk.surroundings.codec()
        why = await abandoning.why(desk.redis, desk.keys, codec, name)
        if why is None:
            raise UserError(abandoning.sound(name))
        if (await desk.look(name)).group != "attached" and not await abandoning.is_there(desk.redis, desk.keys, name):
            raise UserError(f"there is no account {name} to remove")
        for text in (f"{name}: {why}", ABANDONED, *await _archived(desk, name)):
            click.echo(text)
        word = f"abandon {name}"
        if yes != name and click.prompt(f"Type `{word}` to go on", default="", show_default=False) != word:
            raise UserError("nothing was changed")
        async with custody(desk.redis, desk.keys, [name], "abandon") as tokens:
            await abandoning.abandon(desk.redis, desk.keys, codec, tokens[name], name, _now())
        click.echo(f"{name}: removed, and what it held is forgotten: look into its terminal")

    _run(config, data, abandoned)


async def _archived(desk: Desk, name: str) -> list[str]:
    """What is said when the archive has what Redis cannot say."""
    archive = Archive(dsn=desk.surroundings.dsn(), namespace=desk.keys.namespace)
    try:
        remembered = await asyncio.to_thread(archive.remembered, [name])
    except Away:
        return ["The archive does not answer; it may remember the account: start it and look first."]
    restore = (
        f"THE ARCHIVE REMEMBERS IT: `tradecopier restore --account {name}` brings that back, nothing is lost then."
    )
    return [restore] if remembered else ["The archive knows nothing of the account either."]


def repoint(config: Path, data: Path | None, name: str, *, abandon: bool, yes: bool) -> None:
    """Let another login work under an account's name."""

    async def repointed(desk: Desk) -> None:
        if name not in desk.accounts:
            raise UserError(f"there is no account {name}; there are: {', '.join(desk.accounts)}")
        identity = identity_of(desk.accounts[name])
        refuse_repoint(await desk.look(name), identity, abandon=abandon)
        if not yes and not click.confirm(f"Let {name} be {identity or 'whoever logs in next'}?", default=False):
            raise UserError("nothing was changed")
        async with custody(desk.redis, desk.keys, [name], "repoint") as tokens:
            refuse_repoint(await desk.look(name), identity, abandon=abandon)
            codec = desk.surroundings.codec()
            await membership.repoint(desk.redis, desk.keys, codec, tokens[name], name, identity, abandon=abandon)
        click.echo(f"{name}: is {identity or 'whoever logs in next'} from now on; start its executor anew")

    _run(config, data, repointed)


async def joined(desk: Desk, name: str, *, afresh: bool) -> str:
    """Make the group of an account; says what was done. Raises UserError when it had one that Redis lost."""
    now = await desk.look(name)
    if now.group == "attached":
        return f"{name}: it is there already"
    if now.group in ("detached", "trimmed"):
        return f"{name}: {now.words()}"
    archive = Archive(dsn=desk.surroundings.dsn(), namespace=desk.keys.namespace)
    remembered = await asyncio.to_thread(archive.remembered, [name]) if now.group == "lost" else ()
    if remembered and not afresh:
        raise UserError(
            f"the archive remembers {name}: `tradecopier restore --account {name}` brings it back; "
            "with --afresh it joins anew, and what it held is forgotten"
        )
    codec = desk.surroundings.codec()
    if remembered:
        await forgetting.forget(desk.redis, desk.keys, codec, archive, name, _now())
    await membership.join(desk.redis, desk.keys, codec, name, afresh=afresh)
    return f"{name}: joined; what is traded from now on is copied, as soon as its executor runs"


async def flattened(desk: Desk, name: str) -> None:
    """Have everything of ours closed, and wait until it is. Raises UserError when nobody works for the account."""
    if name not in desk.accounts:
        raise UserError(f"{name} is not in the settings, so nobody can close what it holds")
    await control.order(desk.redis, desk.keys, desk.surroundings.codec, "flatten", {name: desk.accounts[name].live})
    said, works = monotonic() + SAY_S, monotonic()
    while (now := await desk.look(name)).open or now.unsettled:
        works = monotonic() if await _is_served(desk, name) else works
        if monotonic() - works > SILENT_S:
            raise UserError(f"nobody works for {name}, so nothing is closed: start its executor, or remove it as it is")
        if monotonic() > said:
            click.echo(f"{name}: waiting until it is flat, {left_of(now)}")
            said = monotonic() + 5 * SAY_S
        await asyncio.sleep(LOOK_S)


async def _is_served(desk: Desk, name: str) -> bool:
    told = await vitals.account(desk.redis, desk.keys, name)
    return told is not None and told.condition == "active" and (_now() - told.at).total_seconds() <= SILENT_S


def left_of(now: Standing) -> str:
    """What an account holds, and how much more may come of what is under way."""
    unsettled = f", and {counted(now.unsettled, 'order')} whose end is not known" if now.unsettled else ""
    return holding(now.open) + unsettled + (", and what nobody can read" if now.strange else "")


def lines(now: Standing, *, in_settings: bool) -> list[str]:
    """What is said of an account in the list."""
    lag = "?" if now.lag is None else f"{now.lag:,}"
    group = f"{lag} unread, {now.pending:,} in work" if now.group == "attached" else now.words()
    state = f"{now.mode or 'never begun'}{f' ({now.reason})' if now.reason else ''}"
    head = f"{now.account}: {now.identity or 'no login yet'}, {state}; {group}"
    if now.group == "lost" and not now.identity and not now.links:
        head = f"{now.account}: not there yet: `tradecopier account add {now.account}`, or restore it if it was"
    mend = "" if in_settings else f"; not in the settings: `tradecopier account remove {now.account}`"
    owed = [f"    {counted(len(now.debts), 'close')} owed"] if now.debts else []
    strange = [f"    {unreadable(now)}"] if now.strange else []
    held = [f"    {holding([link])}" for link in now.open]
    return [head + ("" if now.group == "removed" else mend), *held, *owed, *strange]


def unreadable(now: Standing) -> str:
    """What to do about an account of which not everything can be read."""
    restore = f"`tradecopier restore --account {now.account}` brings back what the archive has"
    abandon = f"where that knows nothing, `tradecopier account remove {now.account} --abandon`"
    return f"somebody has written into its {', '.join(now.strange)} what nobody can read: {restore}; {abandon}"


def identity_of(settings: Account) -> str:
    """The login@server that the settings name; empty when a simulated terminal makes its own."""
    terminal = settings.terminal
    if isinstance(terminal, MetaTrader5) or (terminal.login and terminal.server):
        return f"{terminal.login}@{terminal.server}"
    return ""


def refuse_repoint(now: Standing, identity: str, *, abandon: bool) -> None:
    """Raises UserError when the account cannot become another login's."""
    if now.group == "lost":
        raise UserError(f"{now.account}: {now.words()}")
    if identity and identity == now.identity:
        raise UserError(f"{now.account} is {identity} already: write the new login into the settings file first")
    if (now.open or now.debts) and not abandon:
        raise UserError(
            f"{now.account} holds {holding(now.open)} as {now.identity}: `tradecopier flatten {now.account}` first, "
            "or give --abandon, which leaves that open there and forgets it"
        )
    if now.strange:
        raise UserError(f"{now.account}: {unreadable(now)}")
    if now.unsettled and not abandon:
        raise UserError(
            f"{now.account} holds {left_of(now)} as {now.identity}: let its executor find that out, "
            "or give --abandon, which forgets what comes of it there"
        )


def _confirm(name: str, now: Standing, *, flatten: bool, yes: str | None) -> None:
    """Have the account's name typed out. Raises UserError when something else was typed."""
    stays = "will be closed at the market first" if flatten else "STAYS OPEN at its broker, and nobody closes it"
    click.echo(
        f"{name} holds {left_of(now)}" + (f": that {stays}." if now.open or now.unsettled or now.strange else ".")
    )
    if yes != name and click.prompt(f"Type `{name}` to remove it", default="", show_default=False) != name:
        raise UserError("nothing was changed")


def _run(config: Path, data: Path | None, work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.run(_at_desk(found(config, os.environ, data), work))
    except Away as error:
        raise UserError(f"postgres.dsn: the archive does not answer: {error}") from error
    except (RedisError, OSError) as error:
        raise UserError(f"redis.url: the server does not answer: {plainly(error)}") from error


async def _at_desk(surroundings: Surroundings, work: Callable[[Desk], Coroutine[Any, Any, None]]) -> None:
    redis = streams.connect(surroundings.redis_url())
    try:
        await work(Desk(surroundings, redis))
    finally:
        await redis.aclose()


def _now() -> datetime:
    return datetime.fromtimestamp(time(), UTC)
