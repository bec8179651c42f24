"""Accounts that come into the settings file, or leave it, while `up` runs: the others go on undisturbed."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from deploy import settings
from deploy.fleet import Fleet
from deploy.settings import Machine
from shared.process import UserError

log = logging.getLogger(__name__)

LOOK_S = 1.0

Look = tuple[int, int, int] | None


class Newcomers:
    """Watches the settings file of a fleet. `started` is told the log file of each process that is begun."""

    def __init__(self, fleet: Fleet, environment: Mapping[str, str], started: Callable[[Path], None]) -> None:
        self._fleet = fleet
        self._environment = environment
        self._started = started
        self._seen = _look(fleet.machine.config)

    async def watch(self) -> None:
        """Look once a second, for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            if (now := _look(self._fleet.machine.config)) != self._seen:
                self._seen = now
                await self.read()

    async def read(self) -> None:
        """Take over what has come and gone. A file that cannot be used changes nothing, and is said."""
        before = self._fleet.machine
        try:
            now = settings.load(before.config, before.data, self._environment)
        except UserError as error:
            log.error("the settings stay as they were: %s", error)
            return
        for name in [name for name in before.executor.accounts if name not in now.executor.accounts]:
            await self._let_go(name)
        for name in [name for name in now.executor.accounts if name not in before.executor.accounts]:
            await self._take_in(name, now)
        if now != self._fleet.machine:
            log.warning("what else has changed in %s counts from the next start on", before.config)

    async def _take_in(self, name: str, now: Machine) -> None:
        machine = self._fleet.machine
        accounts = {**machine.executor.accounts, name: now.executor.accounts[name]}
        known = set(self._fleet.logs)
        try:
            await self._fleet.take_in(replace(machine, executor=replace(machine.executor, accounts=accounts)), name)
        except UserError as error:
            log.error("%s cannot be taken in: %s", name, error)
            await self._fleet.let_go(machine, name)
        for path in self._fleet.logs:
            if path not in known:
                self._started(path)

    async def _let_go(self, name: str) -> None:
        machine = self._fleet.machine
        accounts = {other: account for other, account in machine.executor.accounts.items() if other != name}
        less = replace(machine, executor=replace(machine.executor, accounts=accounts))
        if await self._fleet.let_go(less, name):
            log.info("%s is not served any more", name)
        else:
            text = "%s has left the settings; it is served until the next start, or until `account remove %s`"
            log.warning(text, name, name)


def _look(path: Path) -> Look:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
