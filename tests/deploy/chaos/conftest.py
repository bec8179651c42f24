"""A pair of servers for the trials of the run; each trial has a namespace of its own in them."""

from collections.abc import Iterator

import pytest

from archiver.migrate import migrate
from deploy.chaos.pipeline import Servers
from deploy.fleet import folder_mode


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A Valkey and a PostgreSQL with the archive's tables; a fault may kill them, whoever does starts them again."""
    folder = tmp_path_factory.mktemp("pair")
    folder.chmod(folder_mode())
    servers = Servers(folder)
    try:
        servers.valkey.start()
        servers.postgres.start()
        migrate(servers.postgres.dsn)
        yield servers
    finally:
        servers.stop()
