"""The settings file as `up` needs it: every section checked before anything starts, and where all data lies.

Each service declares its own section; here they are only read together, so that a mistake in any of them is one line
at once and not a service that keeps failing.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from archiver.settings import Archiver
from deploy.directory import write_whole
from executor.settings import Settings as Executor
from executor.settings import Simulated
from ingest import settings as ingest_settings
from ingest.settings import Ingest
from shared.following import require_named
from shared.settings import Document, Postgres, Redis, Secret, Security, SettingsError, keyring, read, section
from shared.wire import Codec

KEY_BYTES = 32


class Machine(Struct, frozen=True, kw_only=True):
    """Everything about one machine that runs all services."""

    config: Path
    data: Path
    redis: Redis
    postgres: Postgres
    security: Security
    ingest: Ingest
    executor: Executor
    archiver: Archiver = Archiver()

    @property
    def simulated(self) -> dict[str, Simulated]:
        """The accounts whose terminal `up` has to start."""
        return {
            name: account.terminal
            for name, account in self.executor.accounts.items()
            if isinstance(account.terminal, Simulated) and account.terminal.address is None
        }


def load(config: Path, data: Path | None, environment: Mapping[str, str]) -> Machine:
    """Read and check the settings. `data` is the folder for everything kept; by default `data` beside the file.

    Raises SettingsError.
    """
    document = read(config, environment)
    machine = Machine(
        config=config.absolute(),
        data=(data or beside(config)).absolute(),
        redis=section(document, "redis", Redis),
        postgres=section(document, "postgres", Postgres),
        security=section(document, "security", Security),
        ingest=ingest_settings.load(document),
        executor=_executor(document),
        archiver=section(document, "archiver", Archiver),
    )
    _require_joined(machine)
    require_named(document)
    return machine


def beside(config: Path) -> Path:
    """Where everything is kept unless somebody says otherwise."""
    return config.absolute().parent / "data"


def signing_key(machine: Machine) -> Path:
    """The file of the signing key; made on first use, mode 0600, unless the settings name one."""
    if machine.security.signing_key_file is not None:
        return machine.security.signing_key_file.absolute()
    path = machine.data / "signing.key"
    if not path.exists():
        write_whole(path, f"k1:{secrets.token_hex(KEY_BYTES)}")
    return path


def codec(machine: Machine) -> Codec:
    """What signs in the machine's namespace, with the key that is made on first use. Raises SettingsError."""
    return Codec(machine.redis.namespace, keyring(Security(signing_key_file=signing_key(machine))))


def terminal_options(terminal: Simulated) -> dict[str, str | int]:
    """The options of a simulated terminal's process; what the settings leave out is left to it."""
    options: dict[str, str | int] = {
        "margin_mode": terminal.margin_mode,
        "balance": str(terminal.balance),
        "currency": terminal.currency,
        "seed": terminal.seed,
    }
    if terminal.login:
        options["login"] = terminal.login
    if terminal.server:
        options["server"] = terminal.server
    if terminal.password is not None:
        options["password"] = terminal.password.reveal()
    return options


def environment(machine: Machine, redis: Secret, postgres: Secret, addresses: Mapping[str, str]) -> dict[str, str]:
    """What the services are told beyond the settings file; `addresses` are those of the terminals we started."""
    told = {
        "TRADECOPIER_REDIS__URL": redis.reveal(),
        "TRADECOPIER_POSTGRES__DSN": postgres.reveal(),
        "TRADECOPIER_SECURITY__SIGNING_KEY_FILE": str(signing_key(machine)),
    }
    if machine.ingest.outbox is None:
        told["TRADECOPIER_INGEST__OUTBOX"] = str(machine.data / "outbox")
    if machine.ingest.confdir is None:
        told["TRADECOPIER_INGEST__CONFDIR"] = str(machine.data / "proxy")
    return {**told, **of_terminals(addresses)}


def of_terminals(addresses: Mapping[str, str]) -> dict[str, str]:
    """How an executor is told where the simulated terminals of its accounts are."""
    names = {name: name.upper().replace("-", "_") for name in addresses}
    return {f"TRADECOPIER_EXECUTOR__ACCOUNTS__{names[n]}__TERMINAL__ADDRESS": a for n, a in addresses.items()}


def started(own: Executor, data: Path) -> dict[str, str]:
    """The addresses of those simulated terminals that `up` has started, with these settings and this folder."""
    terminals = {name: account.terminal for name, account in own.accounts.items()}
    left = [name for name, each in terminals.items() if isinstance(each, Simulated) and each.address is None]
    files = {name: data / "terminals" / name / "address" for name in left}
    return {name: file.read_text().strip() for name, file in files.items() if file.exists()}


def _executor(document: Document) -> Executor:
    return section(document, "executor", Executor)


def _require_joined(machine: Machine) -> None:
    """Every source that an account follows has to be there, and there must be something to do."""
    ingest_settings.require_sources(machine.ingest)
    if not machine.executor.accounts:
        raise SettingsError("executor.accounts: there is no account; add [executor.accounts.NAME] with its terminal")
    for name, account in machine.executor.accounts.items():
        for source in account.sources:
            if source not in machine.ingest.sources:
                raise SettingsError(f"executor.accounts.{name}.sources: there is no [ingest.sources.{source}]")
