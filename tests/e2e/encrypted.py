"""Debian's Redis and PostgreSQL with TLS: Redis takes no connection without it, and wants a certificate of ours too."""

import shutil
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import embedded
from deploy.daemon import Health, Launch
from deploy.directory import HOST
from deploy.embedded import BARE_ENVIRONMENT, Postgres, Valkey
from tests.e2e.pki import Authority

NAME = "localhost"


class DebianRedis(Valkey):
    """Debian's Redis in place of the embedded server."""

    title = "Redis"

    def launch(self) -> Launch:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("there is no redis-server (Debian package redis-server)")
        return Launch((binary, "-"), BARE_ENVIRONMENT, self.stop_signals[0], stdin=self._settings().encode())


class EncryptedRedis(DebianRedis):
    """A Redis whose port speaks TLS. `authority` is the one of its own certificate and of its clients'."""

    def __init__(
        self, directory: Path, authority: Authority, users: Callable[[str], str] | None = None, days_ago: int = 0
    ) -> None:
        super().__init__(directory, users=users)
        self._authority = authority
        self._certificate, self._key = authority.issue(f"redis-{days_ago}", NAME, days_ago=days_ago)
        self.client = authority.issue("client")

    def url_of(self, user: str, password: str) -> str:
        return f"rediss://{user}:{password}@{NAME}:{self.port}/0"

    def launch(self) -> Launch:
        binary = shutil.which("redis-server")
        if binary is None:
            pytest.skip("there is no redis-server (Debian package redis-server)")
        return Launch((binary, "-"), BARE_ENVIRONMENT, self.stop_signals[0], stdin=self._settings().encode())

    def health(self, pid: int) -> Health:
        context = ssl.create_default_context(cafile=str(self._authority.file))
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*self.client)
        try:
            with (
                socket.create_connection((HOST, self.port), timeout=2) as plain,
                context.wrap_socket(plain, server_hostname=NAME) as line,
            ):
                line.sendall(f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
                said = b""
                while piece := line.recv(100):
                    said += piece
                return "ready" if b"+PONG" in said else "silent"
        except OSError:
            return "silent"

    def _settings(self) -> str:
        secured = {
            "port": 0,
            "tls-port": self.port,
            "tls-cert-file": self._certificate,
            "tls-key-file": self._key,
            "tls-ca-cert-file": self._authority.file,
            "tls-auth-clients": "yes",
        }
        plain = [line for line in super()._settings().splitlines() if not line.startswith("port ")]
        return "".join(f"{line}\n" for line in [*plain, *(f"{key} {value}" for key, value in secured.items())])


def encrypted_postgres(folder: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Postgres:
    """A PostgreSQL whose clients may use TLS, not started yet."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not found:
        pytest.skip("there is no PostgreSQL in /usr/lib/postgresql (Debian package postgresql)")
    certificate, key = authority.issue("postgres", NAME)
    options = {**embedded.POSTGRES_OPTIONS, "ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
    monkeypatch.setattr(embedded, "POSTGRES_OPTIONS", options)
    monkeypatch.setattr(embedded, "wheel_file", lambda *_: found[-1])
    return Postgres(folder)
