"""The dashboards ask for what the services really export, in queries that Prometheus and PostgreSQL take."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from archiver.migrate import migrate
from deploy.dashboards.__main__ import FOLDER, text
from deploy.dashboards.boards import BOARDS
from deploy.dashboards.panels import Panel, expanded
from deploy.definitions import definitions, series
from tests.conftest import Database
from tests.deploy import promql
from tests.deploy.rules import recorded, rules

PANELS = [(board, panel) for board in BOARDS for panel in board.panels]
NAMES = [f"{board.uid}: {panel.title}" for board, panel in PANELS]
UIDS = ("overview", "latency", "delivery", "accounts", "journal", "infrastructure")


def expressions(panel: Panel) -> Iterator[str]:
    return (expanded(query.text) for query in panel.queries if panel.source == "prometheus")


def test_the_files_are_what_the_code_builds() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}

    assert files == {f"{board.uid.removeprefix('tradecopier-')}.json": text(board) for board in BOARDS}


def test_the_uids_never_change() -> None:
    assert tuple(board.uid for board in BOARDS) == tuple(f"tradecopier-{uid}" for uid in UIDS)


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=NAMES)
def test_every_expression_is_promql_over_series_that_exist(board: object, panel: Panel) -> None:
    known, ours = series() | {"up": frozenset[str]()}, recorded()
    for expression in expressions(panel):
        tree = promql.parsed(expression)
        for name, labels in promql.selectors(tree):
            if name in ours:
                continue
            assert name in known, expression
            assert labels <= known[name] | promql.ADDED, expression
        for labels, inside in promql.grouped(tree):
            allowed = frozenset[str]().union(*(known.get(n, frozenset()) for n in inside))
            if not inside & ours.keys():
                assert labels <= allowed | promql.ADDED, expression


@pytest.mark.parametrize(("board", "panel"), PANELS, ids=NAMES)
def test_every_panel_explains_itself(board: object, panel: Panel) -> None:
    assert panel.description.endswith(".")
    assert panel.unit
    assert panel.empty
    assert panel.queries


def test_every_metric_is_on_a_board_or_in_a_rule() -> None:
    asked = [e for _, panel in PANELS for e in expressions(panel)]
    asked += [rule.expr for name in ("recording.yml", "alerts.yml") for rule in rules(name)]
    used = {name for e in asked for name, _ in promql.selectors(promql.parsed(e))}

    unseen = {d.name for d in definitions().values() if not used.intersection(d.series)}

    assert unseen <= {"tradecopier_ingest_publish_seconds"}  # the stage `publish` says the same from the server's clock


@pytest.fixture
def reader(postgres: Database) -> Iterator[str]:
    """The archive's address for the role that grafana/reader.sql makes."""
    migrate(postgres.dsn)
    script = (FOLDER.parent / "reader.sql").read_text(encoding="utf-8")
    with psycopg.connect(postgres.dsn, autocommit=True) as admin:
        for statement in statements(script, "only-for-this-test"):
            admin.execute(statement.encode())
        yield re.sub(r"//[^@]+@", "//tradecopier_reader:only-for-this-test@", postgres.dsn)
        admin.execute("drop owned by tradecopier_reader")
        admin.execute("drop role tradecopier_reader")


def statements(script: str, password: str) -> Iterator[str]:
    """The script's statements as psql would send them."""
    for statement in re.sub(r"^--.*$", "", script, flags=re.MULTILINE).split(";"):
        made, generated, rest = statement.partition("\\gexec")
        if generated:
            yield "create role tradecopier_reader login"
        if text := (rest if generated else made).strip():
            yield text.replace(":'password'", f"'{password}'")


def test_every_sql_query_runs_with_the_readers_rights(reader: str) -> None:
    with psycopg.connect(reader, autocommit=True) as connection:
        for _, panel in PANELS:
            for query in panel.queries if panel.source == "postgres" else ():
                filled = re.sub(
                    r"\$__timeFilter\((\w+)\)", r"\1 between now() - interval '1 day' and now()", query.text
                )
                connection.execute(filled.replace("${account:pipe}", "main|other").encode())


@pytest.mark.parametrize("forbidden", ["delete from outcomes", "select m from facts", "create table x ()"])
def test_the_reader_sees_no_more_and_changes_nothing(reader: str, forbidden: str) -> None:
    with psycopg.connect(reader, autocommit=True) as connection, pytest.raises(psycopg.Error):
        connection.execute(forbidden.encode())
