"""Tests of commands work on a real lane too: the same client, source and simulated terminal, fresh for one test."""

import pytest

from archiver.migrate import migrate
from tests.conftest import Database
from tests.executor.conftest import redis, simulator, source

__all__ = ["archive_of_rig", "redis", "simulator", "source"]


@pytest.fixture
def archive_of_rig(postgres: Database) -> Database:
    """An archive that is empty."""
    migrate(postgres.dsn)
    return postgres
