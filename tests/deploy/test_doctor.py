"""What doctor looks at with its own eyes: settings, files, ports and the archive, each from well to not well."""

import socket
from pathlib import Path

import pytest
from msgspec.structs import replace

from archiver.migrate import migrate
from deploy import doctor
from deploy.checks import Check
from deploy.surroundings import Surroundings, found
from shared.settings import Postgres, Redis, Secret
from tests.conftest import Database
from tests.deploy.onlookers import settings


def here(folder: Path) -> Surroundings:
    """A machine that has its settings and its key, and an empty data folder."""
    (folder / "data").mkdir()
    return found(settings(folder), {})


def archived(folder: Path, dsn: str) -> list[Check]:
    """What is said of an archive at this address."""
    surroundings = here(folder)
    return list(
        doctor.database(Surroundings(machine=replace(surroundings.machine, postgres=Postgres(dsn=Secret(dsn)))))
    )


def level(checks: list[Check], what: str) -> str:
    (check,) = [each for each in checks if each.what == what]
    return check.level


def test_with_wrong_settings_nothing_else_is_looked_at_and_the_exit_code_is_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = settings(tmp_path)
    config.write_text(config.read_text().replace("sources", "sauces"))

    (check,) = doctor.examine(config)
    code = doctor.show(config, None)

    assert (check.level, check.what) == ("fail", "settings")
    assert "sauces" in check.found
    assert code == 1
    assert "0 ok, 0 to look at, 1 to mend" in capsys.readouterr().out


def test_a_password_or_a_key_that_others_can_read_is_to_be_mended(tmp_path: Path) -> None:
    surroundings = here(tmp_path)
    password = tmp_path / "data" / "valkey" / "password"
    password.parent.mkdir()
    password.write_text("hidden")
    password.chmod(0o600)
    well = list(doctor.files(surroundings))
    password.chmod(0o640)
    (tmp_path / "signing.key").chmod(0o644)
    open_to_all = list(doctor.files(surroundings))

    assert (level(well, "signing key"), level(well, "file modes")) == ("ok", "ok")
    assert (level(open_to_all, "signing key"), level(open_to_all, "file modes")) == ("fail", "fail")
    assert not any("hidden" in check.found + check.advice for check in open_to_all)


def test_a_proxy_is_well_when_somebody_listens_and_its_certificate_is_missed_until_it_ran(tmp_path: Path) -> None:
    surroundings = here(tmp_path)
    machine = surroundings.machine
    with socket.create_server(("127.0.0.1", 0)) as server:
        listen = f"127.0.0.1:{server.getsockname()[1]}"
        surroundings = Surroundings(machine=replace(machine, ingest=replace(machine.ingest, listen=listen)))
        listening = list(doctor.proxy(surroundings))
    closed = list(doctor.proxy(surroundings))

    assert (level(listening, "proxy"), level(closed, "proxy")) == ("ok", "fail")
    assert level(listening, "certificate") == "fail"


def test_an_archive_without_its_tables_is_to_be_mended_by_one_command(tmp_path: Path, postgres: Database) -> None:
    (before,) = archived(tmp_path, postgres.dsn)
    migrate(postgres.dsn)
    (after,) = doctor.database(
        Surroundings(
            machine=replace(
                found(tmp_path / "tradecopier.toml", {}).machine, postgres=Postgres(dsn=Secret(postgres.dsn))
            )
        )
    )

    assert (before.level, before.advice) == ("fail", "run `tradecopier archiver migrate`")
    assert after.level == "ok"


def test_an_archive_that_is_away_costs_no_trade_so_it_only_warns(tmp_path: Path) -> None:
    (check,) = archived(tmp_path, "postgresql://tradecopier@127.0.0.1:1/tradecopier")

    assert check.level == "warn"
    assert "trades are copied" in check.advice


async def test_a_redis_that_nobody_started_is_one_line_with_what_to_do(tmp_path: Path) -> None:
    checks = [check async for check in doctor.redis(here(tmp_path))]

    assert [(check.level, check.what) for check in checks] == [("fail", "redis")]
    assert "run `tradecopier up`" in checks[0].advice


async def test_a_redis_elsewhere_that_is_not_encrypted_is_named(tmp_path: Path) -> None:
    surroundings = here(tmp_path)
    elsewhere = Redis(url=Secret("redis://:hush@redis.invalid:1/0"), namespace=surroundings.machine.redis.namespace)
    machine = replace(surroundings.machine, redis=elsewhere)

    checks = [check async for check in doctor.redis(Surroundings(machine=machine))]

    assert [(c.level, c.what) for c in checks] == [("warn", "redis encryption"), ("fail", "redis")]
    assert "redis.invalid" in checks[0].found
    assert not any("hush" in c.found + c.advice for c in checks)
