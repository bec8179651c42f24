"""What every test may use: real servers, and the rule that a skipped test is never overlooked.

`valkey` and `postgres` are servers started once for the run; each test finds Valkey empty and gets a database of its
own. A test that kills, breaks or restarts a server starts one of its own from `deploy.embedded`.

A test that needs a tool which is absent skips; the run ends with a list of all that were skipped, and with CI=true a
skip is a failure.

The files that take longest start first, so that at the end no process works alone while the others have nothing to do.
"""

import logging
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import hypothesis
import pytest

from deploy.directory import HOST
from deploy.embedded import Postgres, Valkey, ask

IN_CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

LONG_FIRST = (
    *("e2e/test_prometheus.py", "e2e/test_stages.py", "deploy/chaos/test_mutations.py", "e2e/test_failover.py"),
    *("model/test_protocol.py", "e2e/test_browser.py", "deploy/test_local.py", "e2e/test_demo.py"),
    *("executor/test_elsewhere.py", "executor/test_reconciler.py", "deploy/test_status.py", "deploy/chaos/test_day.py"),
    *("executor/test_hung.py", "deploy/test_reception.py", "ingest/test_service.py", "deploy/test_custody.py"),
    *("deploy/test_replay.py", "e2e/test_encrypted_failover.py", "ingest/test_deaths.py", "executor/test_retcodes.py"),
    *("deploy/bench/test_fanout.py", "test_run.py", "deploy/bench/test_history.py", "e2e/test_guarded.py"),
    *("deploy/chaos/test_desk.py", "executor/test_several_pending.py", "executor/test_replaying.py"),
    *("model/test_removed.py", "deploy/bench/test_latency.py", "deploy/chaos/test_cli.py", "ingest/test_outages.py"),
    *("deploy/chaos/test_trial.py", "executor/test_watch.py", "archiver/test_service.py", "e2e/test_tls.py"),
    *("deploy/bench/test_takeover.py", "docs/test_quick_start.py", "deploy/test_fleet.py"),
)
"""Files of more than ten seconds, the longest first, by a quiet run's `--durations`."""
TESTS = Path(__file__).parent

# A time limit for one example says more about the machine than about the code.
hypothesis.settings.register_profile("tradecopier", deadline=None, print_blob=True)
hypothesis.settings.load_profile("tradecopier")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: place(item.path))


def place(file: Path) -> int:
    """Where a file comes in the order; those that are not long keep theirs, behind all others."""
    name = file.relative_to(TESTS).as_posix() if file.is_relative_to(TESTS) else ""
    return LONG_FIRST.index(name) if name in LONG_FIRST else len(LONG_FIRST)


@dataclass(frozen=True, slots=True)
class Database:
    """An empty database for one test; `dsn` holds its password."""

    dsn: str


@pytest.fixture(autouse=True)
def log_level() -> Iterator[None]:
    """What a command sets for the whole process, as `--log-level` does, holds for its own test alone."""
    level = logging.root.level
    yield
    logging.root.setLevel(level)


@pytest.fixture(scope="session")
def valkey_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    """The run's Valkey with whatever earlier tests left in it; most tests want `valkey`."""
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def valkey(valkey_server: Valkey) -> Valkey:
    """An empty Valkey (AOF synced at every write, password, no eviction); connect to its `url`."""
    if b"+OK\r\n+OK" not in ask(valkey_server.port, f"AUTH {valkey_server.password}\r\nFLUSHALL\r\nQUIT\r\n".encode()):
        pytest.fail("an earlier test broke the Valkey that the run shares")
    return valkey_server


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """The run's PostgreSQL; most tests want `postgres`."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


database_numbers = count(1)


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[Database]:
    """An empty database; connect to its `dsn`."""
    import psycopg  # only the tests that ask for it pay for it

    name = f"test_{next(database_numbers)}"
    with psycopg.connect(postgres_server.dsn, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}")
        yield Database(f"postgresql://tradecopier:{postgres_server.password}@{HOST}:{postgres_server.port}/{name}")
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not allow: {skip_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome, report.longrepr = "failed", f"skipped, which CI does not allow: {skip_reason(report)}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = terminalreporter.getreports("skipped")
    if skipped:
        terminalreporter.section("skipped tests")
    for report in skipped:
        terminalreporter.line(f"{report.nodeid}: {skip_reason(report)}")


def skip_reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    """Why a test was skipped; pytest keeps file, line and reason."""
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
