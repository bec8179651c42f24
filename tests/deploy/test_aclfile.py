"""`tradecopier acl` writes users that a server takes as they are, keeps passwords, and shows none."""

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import AuthenticationError, RedisError

from deploy import acl, aclfile
from deploy.daemon import Health
from deploy.embedded import Valkey
from shared import streams
from shared.streams import Keys
from tests.deploy.test_fleet import written
from tests.e2e.encrypted import DebianRedis
from tests.e2e.processes import run

NAMES = ("main.ingest", "main.executor.one", "main.executor", "main.archiver", "main.status", "main.operator", "admin")


def passwords(folder: Path) -> dict[str, str]:
    return {file.stem: file.read_text().strip() for file in folder.glob("*.password")}


def test_the_command_writes_a_file_for_the_server_and_a_password_for_each_user(tmp_path: Path) -> None:
    config = ("--config", str(written(tmp_path)))
    folder = tmp_path / "data" / "redis"

    first = run(*config, "acl")
    before = passwords(folder)
    again = run(*config, "acl")

    assert first.returncode == again.returncode == 0, first.stderr
    assert set(before) == set(NAMES)
    assert passwords(folder) == before
    assert len(set(before.values())) == len(NAMES)
    said = first.stdout + (folder / "users.acl").read_text()
    assert not any(password in said for password in before.values())
    assert {oct(file.stat().st_mode & 0o777) for file in folder.iterdir()} == {"0o600"}
    assert "TRADECOPIER_REDIS__PASSWORD=file:" in first.stdout
    assert (folder / "users.acl").read_text().startswith(f"{acl.NOBODY}\n")


def test_looking_at_the_rights_writes_nothing(tmp_path: Path) -> None:
    shown = run("--config", str(written(tmp_path)), "acl", "--print")

    assert "main.ingest: publishes facts" in shown.stdout
    assert "+xadd ~tradecopier:{main}:orders" in shown.stdout
    assert not (tmp_path / "data").exists()


async def test_a_server_takes_the_file_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "users"
    list(aclfile.written(folder, (*acl.users(Keys("main"), ["demo"], ["one"]), acl.everything()), "main"))
    found = passwords(folder)

    def shipped(own: str) -> str:
        """As it was written; only that we, who start the server, may look whether it is up."""
        text = (folder / "users.acl").read_text()
        return text.replace(acl.NOBODY, acl.everything(acl.DEFAULT).line(own)).strip()

    server = Valkey(tmp_path / "valkey", users=shipped)
    server.start()
    try:
        for name, password in found.items():
            client = streams.connect(server.url_of(name, password))
            assert await client.ping()
            await client.aclose()
        wrong = streams.connect(server.url_of("main.ingest", "guessed"))
        with pytest.raises(AuthenticationError):
            await wrong.ping()
        await wrong.aclose()
    finally:
        server.stop()


class Strict(Valkey):
    """A server with our file alone: it asks as `admin` whether it is up."""

    def __init__(self, directory: Path, folder: Path) -> None:
        super().__init__(directory, users=lambda own: (folder / "users.acl").read_text().strip())
        self._folder = folder

    @property
    def admin(self) -> str:
        return self.url_of("admin", passwords(self._folder)["admin"])

    def health(self, pid: int) -> Health:
        try:
            with Redis.from_url(self.admin, socket_timeout=5) as client:
                return "ready" if client.ping() else "silent"
        except RedisError:
            return "silent"


class StrictDebian(Strict, DebianRedis):
    """The same of Debian's Redis, which reads its file with the rights of `default`."""


@pytest.mark.parametrize("kind", [Strict, StrictDebian])
async def test_what_a_transaction_wrote_is_there_after_a_restart_with_this_file(
    kind: type[Strict], tmp_path: Path
) -> None:
    folder = tmp_path / "users"
    list(aclfile.written(folder, (*acl.users(Keys("main"), ["demo"], ["one"]), acl.everything()), "main"))
    server = kind(tmp_path / "server", folder)
    server.start()
    try:
        with Redis.from_url(server.admin) as client:
            with client.pipeline(transaction=True) as together:
                together.set("one", "1").set("two", "2").execute()
            client.eval("redis.call('set', 'three', 3) redis.call('set', 'four', 4)", 0)
        server.stop()
        server.start()
        with Redis.from_url(server.admin) as client:
            assert {key.decode() for key in client.scan_iter()} == {"one", "two", "three", "four"}
        with pytest.raises(AuthenticationError), Redis(port=server.port) as nobody:
            nobody.ping()
    finally:
        server.stop()


async def test_without_a_password_nobody_gets_in(tmp_path: Path) -> None:
    folder = tmp_path / "users"
    server = Valkey(tmp_path / "valkey", users=aclfile.embedded(folder, acl.users(Keys("main"), ["demo"], ["one"])))
    server.start()
    try:
        nobody = streams.connect(f"redis://127.0.0.1:{server.port}/0")
        with pytest.raises(AuthenticationError):
            await nobody.ping()
        await nobody.aclose()
    finally:
        server.stop()
