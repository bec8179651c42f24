"""All processes of one machine: the servers, the simulated terminals and the services, started and stopped together.

What does not depend on one another starts at the same time; consumer groups exist before the proxy listens, so that
no account misses a fact. Stopping goes the other way round: the proxy first, the servers last. Every process ends when
we end, however we end, and all that was acknowledged is there at the next start.
"""

import asyncio
import logging
import os
import sys
import time
from collections.abc import Awaitable, Collection, Sequence
from pathlib import Path

import msgspec

import deploy
from deploy import acl, aclfile, scraping, settings
from deploy.beginning import begun
from deploy.directory import HOST, choose_port, free_port, lock_file
from deploy.embedded import Postgres, Valkey
from deploy.groundwork import join_groups, migrated, nothing, pin_prices, remembered_by
from deploy.settings import Machine
from deploy.worker import Job, Worker
from shared.addresses import postgres_dsn, redis_url
from shared.process import Stop, UserError, cancelled
from shared.settings import Secret

log = logging.getLogger(__name__)

ROOT = Path(deploy.__file__).resolve().parents[1]
LOCK_PATIENCE_S = 15.0
"""For the processes of a supervisor that was killed: they are ending by themselves."""


class Fleet:
    """The servers and services of one machine. Started from the main thread, used from one event loop."""

    def __init__(self, machine: Machine, stop: Stop, log_options: Sequence[str] = ()) -> None:
        """`log_options` are options of `tradecopier` for how the services log."""
        self.machine = machine
        self.redis = Secret("")
        self.postgres = Secret("")
        self.addresses: dict[str, str] = {}
        self._stop = stop
        self._log_options = log_options
        self._valkey = self._own_redis() if machine.redis.url is None else None
        self._database = Postgres(machine.data / "postgres") if machine.postgres.dsn is None else None
        self._is_new = self._database is not None and not (machine.data / "postgres").exists()
        self._first = frozenset(machine.executor.accounts)
        self._together = list(machine.executor.accounts)
        self._archive = asyncio.Event()
        self._workers: dict[str, Worker] = {}
        self._tending: dict[str, asyncio.Task[None]] = {}
        self._locks: list[int] = []
        self._latecomers: dict[str, str] = {}

    async def start(self) -> None:
        """Return when everything serves. Raises UserError, one line that says what to do, when something cannot."""
        try:
            await self._settle_in()
        except OSError as error:
            where = error.filename or self.machine.data
            raise UserError(f"the data cannot be kept in {where}: {error.strerror}; choose another --data") from error
        try:
            with begun(self.machine.data):
                await self._start_all()
        except BaseExceptionGroup as group:
            raise _plainest(group) from None

    async def _start_all(self) -> None:
        async with asyncio.TaskGroup() as starting:
            postgres = starting.create_task(self._start_postgres())
            redis = starting.create_task(self._start_redis())
            for name in self.machine.simulated:
                starting.create_task(self._start_terminal(name))
            starting.create_task(self._start_service("ingest", redis))
            starting.create_task(self._start_service("executor", redis))
            starting.create_task(self._start_service("archiver", redis, postgres))

    @property
    def logs(self) -> list[Path]:
        """The log files of our own processes, in the order of their start."""
        return [worker.log for worker in self._workers.values()]

    async def stop(self) -> None:
        """Stop everything in an order in which nothing waits for what is gone."""
        await self._stop.end_tasks()  # or what we stop would be started again
        executors = [name for name in self._workers if name.startswith("executor")]
        for name in ("ingest", *executors, "archiver"):
            if name in self._workers:
                await self._workers.pop(name).stop()
        await asyncio.gather(*(worker.stop() for worker in self._workers.values()))
        for server in (self._valkey, self._database):
            if server is not None:
                await asyncio.to_thread(server.stop)
        while self._locks:
            os.close(self._locks.pop())

    async def _settle_in(self) -> None:
        self.machine.data.mkdir(mode=folder_mode(), parents=True, exist_ok=True)
        await self._take(self.machine.data)
        scraping.write(self.machine)
        self.addresses = {name: f"{HOST}:{self._terminal_port(name)}" for name in self.machine.simulated}

    async def _take(self, data: Path) -> None:
        """Take the data for ourselves. Raises UserError when somebody else has it.

        Two locks: ours alone, and one that our processes hold too, which tells that those of a supervisor that was
        killed are still ending.
        """
        own = lock_file(data / "supervisor.lock")
        if own is None:
            raise UserError(f"{data} is in use by another `tradecopier up`; stop that one, or choose another --data")
        self._locks.append(own)
        deadline = time.monotonic() + LOCK_PATIENCE_S
        while (shared := lock_file(data / "lock")) is None:
            if time.monotonic() > deadline:
                raise UserError(f"{data} is in use by processes of an earlier `tradecopier up` that do not end")
            await asyncio.sleep(0.05)
        self._locks.append(shared)

    async def _start_redis(self) -> None:
        if self._valkey is not None:
            await self._valkey.started()
            self._stop.supervise(self._valkey.supervise(), "valkey")
            self.redis = Secret(self._valkey.url)
        else:
            self.redis = Secret(redis_url(self.machine.redis))
        remembered = nothing if self._is_new else self._remembered
        await join_groups(self.redis, settings.codec(self.machine), self._together, remembered)

    async def _start_postgres(self) -> None:
        if self._database is not None:
            await self._database.started()
            self._stop.supervise(self._database.supervise(), "postgresql")
            self.postgres = Secret(self._database.dsn)
        else:
            self.postgres = Secret(postgres_dsn(self.machine.postgres))
        await migrated(self.postgres)
        self._archive.set()

    async def _start_service(self, name: str, *needed: Awaitable[None]) -> None:
        for other in needed:
            await other
        await self._start_worker(self._service(name, name))

    def _service(self, name: str, service: str, accounts: Sequence[str] = ()) -> Job:
        """What runs a service; an executor is told its accounts, all that were there at the start if not given."""
        ready = self.machine.data / "run" / f"{name}.ready"
        command = [sys.executable, "-m", "deploy", "--config", str(self.machine.config), *self._log_options]
        command += [service, "run", "--ready-file", str(ready)]
        if service == "executor":
            command += [word for each in accounts or self._together for word in ("--account", each)]
        redis = self.redis if self._valkey is None else self._as_user(self._valkey, service)
        addresses = {name: self.addresses[name] for name in self.machine.simulated if name in self.addresses}
        told = settings.environment(self.machine, redis, self.postgres, addresses)
        if accounts:
            told["TRADECOPIER_EXECUTOR__METRICS"] = self._metrics_of(name)
        return Job(name, command, {**_PYTHON, **told}, ready)

    # -- accounts that come and go while everything runs

    async def take_in(self, machine: Machine, name: str) -> None:
        """Start what serves an account that is new in `machine`; all others go on undisturbed.

        Raises UserError when its terminal cannot be started, or its group not made.
        """
        self._know(machine)
        if name in machine.simulated and f"terminal-{name}" not in self._workers:
            self.addresses[name] = f"{HOST}:{self._terminal_port(name)}"
            await self._start_terminal(name)
        await join_groups(self.redis, settings.codec(machine), [name], self._remembered)
        worker = self._worker(self._service(f"executor-{name}", "executor", [name]))
        try:
            await worker.started()
            log.info("%s has its executor; `tradecopier status` says how it is", name)
        except UserError as error:
            log.error("%s is not copied to yet: %s", name, error)
        self._tend(worker)

    async def let_go(self, machine: Machine, name: str) -> bool:
        """End what serves only an account that is not in `machine` any more; False when it shares an executor."""
        self._together = [each for each in self._together if each != name]
        alone = name not in self._first
        for worker in (f"executor-{name}", f"terminal-{name}") if alone else ():
            await self._end(worker)
        self._know(machine)
        return alone

    def _metrics_of(self, name: str) -> str:
        """Where an executor of its own serves its metrics, if that of all others does: beside it, at another port."""
        host, _, _ = (self.machine.executor.metrics or "").rpartition(":")
        if host and name not in self._latecomers:
            self._latecomers[name] = f"{host}:{free_port()}"
            scraping.tell(self.machine, self._latecomers)
        return self._latecomers.get(name, "")

    def _know(self, machine: Machine) -> None:
        """Go by these settings; services that have to start again are told what holds then."""
        self.machine = machine
        for name in ("ingest", "executor", "archiver"):
            if name in self._workers and (name != "executor" or self._together):
                self._workers[name].job = self._service(name, name)

    def _worker(self, job: Job) -> Worker:
        worker = self._workers[job.name] = Worker(job, self.machine.data, held=self._locks[1:])
        return worker

    def _tend(self, worker: Worker) -> None:
        self._tending[worker.job.name] = self._stop.supervise(worker.supervise(), worker.job.name)

    async def _end(self, name: str) -> None:
        """End one process for good."""
        if (task := self._tending.pop(name, None)) is not None:
            await cancelled(task)
        if (worker := self._workers.pop(name, None)) is not None:
            await worker.stop()
        if self._latecomers.pop(name, None) is not None:
            scraping.tell(self.machine, self._latecomers)

    async def _remembered(self, accounts: Collection[str]) -> Collection[str]:
        await self._archive.wait()
        return await remembered_by(self.postgres, self.machine.redis.namespace, accounts)

    def _own_redis(self) -> Valkey:
        """Our own server, in which each service has a user of its own."""
        from shared.streams import Keys  # brings the client library with it

        keys, place = Keys(self.machine.redis.namespace), self.machine.data / "valkey"
        users = acl.users(keys, self.machine.ingest.sources, ())
        return Valkey(place, users=aclfile.embedded(place / "users", users))

    def _as_user(self, valkey: Valkey, service: str) -> Secret:
        user = f"{self.machine.redis.namespace}.{service}"
        password = aclfile.password_file(valkey.directory / "users", user).read_text().strip()
        return Secret(valkey.url_of(user, password))

    async def _start_terminal(self, name: str) -> None:
        await self._start_worker(self._terminal(name))
        if prices := self.machine.simulated[name].prices:
            await asyncio.to_thread(pin_prices, self.addresses[name], prices)

    async def _start_worker(self, job: Job) -> None:
        worker = self._worker(job)
        await worker.started()
        self._tend(worker)
        log.info("%s is ready", job.name)

    def _terminal(self, name: str) -> Job:
        terminal, state = self.machine.simulated[name], self.machine.data / "terminals" / name
        command = [sys.executable, "-m", "executor.mt5.simulator.server", "--listen", self.addresses[name]]
        command += ["--state", str(state), "--stdin"]
        # Through standard input, since a password may be among them.
        options = settings.terminal_options(terminal)
        return Job(f"terminal-{name}", command, _PYTHON, state / "address", stdin=msgspec.json.encode(options) + b"\n")

    def _terminal_port(self, name: str) -> int:
        folder = self.machine.data / "terminals" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return choose_port(folder / "port", None, f"the terminal of {name}")


_PYTHON = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
"""So that a child finds our packages wherever it was started."""


def folder_mode() -> int:
    """Who may pass a folder. Under root, PostgreSQL may have to run as another user, who must get through."""
    return 0o711 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0o700


def _plainest(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what went wrong at the same time, the failure that a user can mend, else the first."""
    found = [_plainest(each) if isinstance(each, BaseExceptionGroup) else each for each in group.exceptions]
    return next((failure for failure in found if isinstance(failure, UserError)), found[0])
