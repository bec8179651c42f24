"""Tests of commands work on a real lane too: the same client, source and simulated terminal, fresh for one test."""

from tests.executor.conftest import redis, simulator, source

__all__ = ["redis", "simulator", "source"]
