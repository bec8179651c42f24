"""Where everything is that a command of an operator looks at: the settings, and the servers that `up` brought.

A server that the settings name is that one; else it is the embedded one of the data folder, whose port and password
are files there. Nothing is started.
"""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from deploy import settings
from deploy.directory import HOST
from deploy.embedded import DATABASE, SUPERUSER
from deploy.settings import Machine
from executor.settings import Settings as Executor
from shared.addresses import postgres_dsn, redis_url
from shared.process import UserError
from shared.settings import Security, keyring
from shared.streams import Keys
from shared.wire import Codec, Keyring


class Surroundings(Struct, frozen=True, kw_only=True):
    """One machine's settings, as an onlooker uses them."""

    machine: Machine

    @property
    def executor(self) -> Executor:
        """The accounts."""
        return self.machine.executor

    @property
    def keys(self) -> Keys:
        """The namespace's keys."""
        return Keys(self.machine.redis.namespace)

    def keyring(self) -> Keyring:
        """The signing keys. Raises SettingsError when they cannot be read."""
        path = self.machine.security.signing_key_file or self.machine.data / "signing.key"
        return keyring(Security(signing_key_file=path))

    def codec(self) -> Codec:
        """What reads the streams. Raises SettingsError when the signing key cannot be read."""
        return Codec(self.machine.redis.namespace, self.keyring())

    def redis_url(self) -> str:
        """Where Redis is. Raises UserError when nothing says so."""
        if self.machine.redis.url is not None:
            return redis_url(self.machine.redis)
        port, password = _embedded(self.machine.data / "valkey", "Redis")
        return f"redis://:{password}@{HOST}:{port}/0"

    def dsn(self) -> str:
        """Where PostgreSQL is. Raises UserError when nothing says so."""
        if self.machine.postgres.dsn is not None:
            return postgres_dsn(self.machine.postgres)
        port, password = _embedded(self.machine.data / "postgres", "PostgreSQL")
        return f"postgresql://{SUPERUSER}:{password}@{HOST}:{port}/{DATABASE}"


def found(config: Path, environment: Mapping[str, str], data: Path | None = None) -> Surroundings:
    """What the settings file says. Raises SettingsError."""
    return Surroundings(machine=settings.load(config, data, environment))


def _embedded(folder: Path, name: str) -> tuple[str, str]:
    try:
        return (folder / "port").read_text().strip(), (folder / "password").read_text().strip()
    except OSError as error:
        raise UserError(f"there is no {name} yet: the settings name none, and `tradecopier up` has not run") from error
