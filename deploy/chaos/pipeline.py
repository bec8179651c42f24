"""The pipeline of one trial: two servers, two terminals, ingest's stand-in, two executors, an archiver: all processes.

Every process that ends is started again, as a supervisor would. Connections to the servers go through gates.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

from deploy.chaos.gate import Gate
from deploy.chaos.part import Part
from deploy.chaos.story import PRICES
from deploy.chaos.timing import Timing
from deploy.daemon import Daemon
from deploy.directory import HOST
from deploy.embedded import Postgres, Valkey
from deploy.groundwork import join_groups
from executor.mt5.simulator.remote import Remote
from executor.mt5.simulator.surface import LinkFailed
from shared import process
from shared.process import MENDABLE
from shared.settings import Secret, parse_keyring
from shared.wire import Codec

HEDGING: Mapping[str, str] = {"first": "hedging", "second": "hedging"}
MIXED: Mapping[str, str] = {"first": "hedging", "net": "netting"}
"""The accounts of a trial, and how each keeps positions."""
SERVER = "Chaos"
LOOK_S = 0.05
START_S = 60.0
KEY = "k1:" + (b"1" * 32).hex()


class Servers:
    """A Valkey and a PostgreSQL in a folder; trials that follow each other share them, each with its namespace."""

    def __init__(self, folder: Path) -> None:
        self.valkey = Valkey(folder / "valkey")
        self.postgres = Postgres(folder / "postgres")

    async def start(self) -> None:
        """Return when both serve."""
        await asyncio.gather(self.valkey.started(), self.postgres.started())

    def stop(self) -> None:
        """End both."""
        self.valkey.stop()
        self.postgres.stop()


class Pipeline:
    """Everything of one trial. `through` is how our commands are started, `mutant` for a broken build of them."""

    def __init__(
        self,
        folder: Path,
        servers: Servers,
        namespace: str,
        timing: Timing,
        accounts: Mapping[str, str],
        through: Sequence[str] = ("-m", "deploy"),
        more: Sequence[str] = (),
    ) -> None:
        """`more` are further lines of each account's settings."""
        self.folder = folder
        self.accounts = accounts
        self.servers = servers
        self.namespace = namespace
        self.parts: dict[str, Part] = {}
        self.gates = {name: Gate() for name in ("executor", "standby", "ingest", "archiver", "postgres")}
        self.addresses: dict[str, str] = {}
        self.crashes: list[str] = []
        self.reached: Counter[str] = Counter()
        self.held: set[str] = set()
        self._through = tuple(through)
        self._more = tuple(more)
        self._timing = timing
        self._config = folder / "tradecopier.toml"
        self._keeping: asyncio.Task[None] | None = None
        self._pinning: dict[str, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Return when every process has been started and both terminals serve."""
        (self.folder / "log").mkdir(parents=True)
        redis = Secret(self.servers.valkey.url)
        await join_groups(redis, Codec(self.namespace, parse_keyring([KEY], self.folder)), self.accounts)
        ports = {
            name: await gate.open(self.servers.postgres.port if name == "postgres" else self.servers.valkey.port)
            for name, gate in self.gates.items()
        }
        for login, (account, margin) in enumerate(self.accounts.items(), start=1):
            await self._start_terminal(account, margin, login)
        self._write_settings()
        self._add_services(ports)
        for name in ("ingest", "executor", "standby", "archiver"):
            self.parts[name].start()
        self._keeping = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End every process of ours, all at a time; the servers stay."""
        if self._keeping is not None:
            await process.cancelled(self._keeping, *self._pinning.values())
        for part in self.parts.values():
            part.ask()
        for part in self.parts.values():
            with suppress(OSError):
                await part.end()
        for gate in self.gates.values():
            await gate.close()

    def server(self, name: str) -> Daemon:
        """`redis` or `postgres`."""
        return self.servers.valkey if name == "redis" else self.servers.postgres

    # -- starting

    async def _start_terminal(self, account: str, margin: str, login: int) -> None:
        state = self.folder / account
        argv = ["-m", "executor.mt5.simulator.server", "--state", str(state), "--login", str(login)]
        argv += ["--server", SERVER, "--margin-mode", margin, "--balance", "1000000"]
        part = self.parts[account] = Part(account, [*argv, "--listen", f"{HOST}:0"], {}, self.folder / "log" / account)
        part.start()
        async with asyncio.timeout(START_S):
            while not (state / "address").exists():  # noqa: ASYNC110  another process
                await asyncio.sleep(0.01)
        self.addresses[account] = address = (state / "address").read_text()
        again = Part(account, [*argv, "--listen", address], {}, self.folder / "log" / account)
        again.running = part.running
        self.parts[account] = again
        await self._pin(account)

    async def _pin(self, account: str) -> None:
        """Let the story's instruments stand still, as soon as the terminal listens."""
        while not await asyncio.to_thread(_pinned, self.addresses[account]):  # noqa: ASYNC110  another process
            await asyncio.sleep(LOOK_S)

    def _add_services(self, ports: Mapping[str, int]) -> None:
        valkey, postgres = self.servers.valkey, self.servers.postgres
        dsn = postgres.dsn.replace(f":{postgres.port}/", f":{ports['postgres']}/")
        config = ["--config", str(self._config)]
        commands = {
            "executor": [*self._through, *config, "executor", "run"],
            "standby": [*self._through, *config, "executor", "run"],
            "archiver": [*self._through, *config, "archiver", "run"],
            "ingest": [*self._source(), *config, "--folder", str(self.folder / "outbox")],
        }
        for name, argv in commands.items():
            url = valkey.url.replace(f":{valkey.port}/", f":{ports[name]}/")
            env = {"TRADECOPIER_REDIS__URL": url, "TRADECOPIER_POSTGRES__DSN": dsn}
            self.parts[name] = Part(name, argv, env, self.folder / "log" / name, piped=name == "ingest")

    def _source(self) -> list[str]:
        own = ["-m", "deploy.chaos.source"]
        return own if self._through == ("-m", "deploy") else [*self._through, "source"]

    def _write_settings(self) -> None:
        key = self.folder / "signing.key"
        key.write_text(KEY)
        key.chmod(0o600)
        t = self._timing
        lines = ["[redis]", f'namespace = "{self.namespace}"', "[security]", f'signing-key-file = "{key}"']
        lines += ["[executor]", f"lease = {t.lease}"]
        for login, account in enumerate(self.accounts, start=1):
            lines += [
                f"[executor.accounts.{account}]",
                'sources = ["chaos"]',
                f"window = {t.window}",
                f"deadline = {t.deadline}",
                f"grace = {t.grace}",
                *self._more,
                f"[executor.accounts.{account}.terminal]",
                'kind = "simulated"',
                f'address = "{self.addresses[account]}"',
                f"login = {login}",
                f'server = "{SERVER}"',
                f"[executor.accounts.{account}.limits]",
                "max-age = 600",
                "max-drift-percent = 100",
                "max-spread-percent = 100",
                "max-orders-per-minute = 100000",
                "max-daily-loss-percent = 100",
                "max-drawdown-percent = 100",
            ]
        self._config.write_text("\n".join(lines) + "\n")

    # -- keeping

    async def _keep(self) -> None:
        while True:
            for part in self.parts.values():
                if not part.alive and part.name not in self.held:
                    self._note(part)
                    part.start()
                    if part.name in self.accounts:
                        self._pinning[part.name] = asyncio.create_task(self._pin(part.name))
            await asyncio.sleep(LOOK_S)

    def _note(self, part: Part) -> None:
        assert part.running is not None
        code = part.running.returncode
        point = next((word for word in part.under if ":" in word), "")
        if code == -signal.SIGKILL and not part.expected and "--die-at" in part.under:
            self.reached[f"die-at-{point.partition(':')[0]}"] += 1
        elif code not in (-signal.SIGKILL, -signal.SIGTERM, MENDABLE) and part.name not in self.accounts:
            self.crashes.append(f"{part.name} ended with exit code {code}")


def _pinned(address: str) -> bool:
    try:
        with closing(Remote.at(address)) as remote:
            for symbol, (bid, ask) in PRICES.items():
                remote.price(symbol, bid, ask)
    except (OSError, LinkFailed):
        return False
    return True
