"""Many lanes in one process: each has its own connections and its own terminal child, and waits for no other."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from executor.lane import Lane, never
from executor.meter import Meter
from executor.metrics import Metrics
from executor.mt5.api import Credentials
from executor.mt5.terminal import Deadlines, Terminal
from executor.pulse import Pulse
from executor.settings import Account, MetaTrader5, Settings, Simulated
from shared import keyfile, metrics, settings, streams
from shared.addresses import redis_url
from shared.durability import unsafe
from shared.following import require_named
from shared.plainly import plainly
from shared.process import Stop, UserError, announce, settled
from shared.streams import Keys
from shared.wire import Codec, Keyring

log = logging.getLogger(__name__)

SIMULATOR = "executor.mt5.simulator.client"
VENDOR = "MetaTrader5"
SETTLE_S = 20.0
"""For so long all lanes are waited for before we say that we follow."""


class Plan(Struct, frozen=True, kw_only=True):
    """What the executor runs with. `reach` is told each named point of the protocol, for fault suites."""

    redis_url: str
    namespace: str
    keyring: Keyring
    settings: Settings
    accounts: Sequence[str]
    ready_file: Path | None = None
    reach: Callable[[str], None] = never


def plan(
    config: Path,
    environment: Mapping[str, str],
    accounts: Sequence[str],
    ready_file: Path | None = None,
    *,
    simulated: bool = False,
) -> Plan:
    """What to run with, from the settings file; without names every account, or every simulated one.

    Raises SettingsError.
    """
    document = settings.read(config, environment)
    redis = settings.section(document, "redis", settings.Redis)
    own = settings.section(document, "executor", Settings)
    require_named(document)
    names = anyones(own) if simulated else chosen(own, accounts)
    return Plan(
        redis_url=redis_url(redis),
        namespace=redis.namespace,
        keyring=settings.keyring(settings.section(document, "security", settings.Security)),
        settings=own,
        accounts=names,
        ready_file=ready_file,
    )


def chosen(own: Settings, accounts: Sequence[str]) -> list[str]:
    """The accounts that were named, or all. Raises SettingsError when there is none of that name, or none at all."""
    for name in accounts:
        if name not in own.accounts:
            known = ", ".join(sorted(own.accounts)) or "none"
            raise settings.SettingsError(f"there is no [executor.accounts.{name}]; there are: {known}")
    if not own.accounts:
        raise settings.SettingsError("there is no account: add a table [executor.accounts.NAME]")
    return list(accounts) or list(own.accounts)


def anyones(own: Settings) -> list[str]:
    """The accounts that any machine can work for: a simulated terminal is reached over the network, a real one stands
    beside its executor. Raises SettingsError when there is none.
    """
    names = [name for name, account in own.accounts.items() if isinstance(account.terminal, Simulated)]
    if not names:
        raise settings.SettingsError("no account has a simulated terminal: name those of this machine with --account")
    return names


async def serve(stop: Stop, plan: Plan) -> None:
    """Run the lanes until asked to stop. Raises UserError when the server is not safe to use."""
    registry = metrics.new_registry("executor")
    watcher = Metrics(registry, plan.accounts)
    async with AsyncExitStack() as stack:
        await _checked(await _redis(stack, plan))
        if plan.settings.metrics:
            await stack.enter_async_context(metrics.served(registry, plan.settings.metrics, watcher.complaints))
        lanes = [await _lane(stack, plan, name, watcher) for name in plan.accounts]
        meters, keys = [lane.meter for lane in lanes], Keys(plan.namespace)
        pulse = Pulse(registry, watcher, await _redis(stack, plan), keys, meters, _now)
        stop.supervise(pulse.run(), "pulse")
        stop.supervise(keyfile.follow(plan.keyring), "signing key")
        for lane in lanes:
            stack.push_async_callback(lane.stop)
            stop.supervise(lane.run(), f"lane {lane.name}")
        stop.supervise(_announce(watcher, plan.ready_file), "announce")
        await stop.wait()
        await stop.end_tasks()


async def _lane(stack: AsyncExitStack, plan: Plan, name: str, watcher: Metrics) -> Lane:
    account = plan.settings.accounts[name]
    watcher.follows(name, account.sources)
    terminal = terminal_of(account)
    terminal.begin()  # a child that does not come up keeps no other account waiting
    return Lane(
        name,
        account,
        credentials(name, account),
        terminal,
        await _redis(stack, plan),
        await _redis(stack, plan),
        Keys(plan.namespace),
        Codec(plan.namespace, plan.keyring),
        plan.settings.lease,
        watcher,
        reach=plan.reach,
        meter=Meter(watcher, name, account.limits, _now, live=account.live),
    )


def terminal_of(account: Account) -> Terminal:
    """The account's terminal, not started yet."""
    module = SIMULATOR if isinstance(account.terminal, Simulated) else VENDOR
    return Terminal(module, account.terminal.child_command, Deadlines(order=account.deadline))


def credentials(name: str, account: Account) -> Credentials:
    """Which terminal and which account in it. Raises SettingsError when a simulated terminal has no address."""
    match account.terminal:
        case Simulated() as terminal:
            if terminal.address is None:
                raise settings.SettingsError(
                    f"executor.accounts.{name}.terminal.address is not set: name a running simulator, or let "
                    "`tradecopier up` start one"
                )
            password = terminal.password.reveal() if terminal.password else ""
            return Credentials(terminal.address, terminal.login, password, terminal.server)
        case MetaTrader5() as terminal:
            return Credentials(
                str(terminal.path), terminal.login, terminal.password.reveal(), terminal.server, terminal.portable
            )


async def _redis(stack: AsyncExitStack, plan: Plan) -> Redis:
    redis = streams.connect(plan.redis_url)
    stack.push_async_callback(redis.aclose)
    return redis


async def _checked(redis: Redis) -> None:
    try:
        wrong = await unsafe(redis)
    except (RedisError, OSError) as error:
        raise UserError(f"Redis does not answer at redis.url: {plainly(error)}") from error
    if wrong:
        raise UserError("; ".join(wrong))


def _now() -> datetime:
    return datetime.now(UTC)


async def _announce(watcher: Metrics, ready_file: Path | None) -> None:
    """Say that we follow, once every lane does; one whose terminal is gone keeps the others from nothing."""
    try:
        await asyncio.wait_for(watcher.all_settled(), SETTLE_S)
    except TimeoutError:
        for complaint in watcher.complaints():
            log.error("going on without it: %s", complaint)
    settled()
    log.info("following")
    announce(ready_file, str(os.getpid()))


def main(plan: Plan) -> Callable[[Stop], Awaitable[None]]:
    """The service's main function, for `shared.process.run`."""
    return partial(serve, plan=plan)
