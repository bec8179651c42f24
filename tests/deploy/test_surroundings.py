"""Where an operator's command finds the servers and the key: what the settings name, else what `up` left as files."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy.embedded import Valkey
from deploy.surroundings import Surroundings, found
from shared.process import UserError
from shared.settings import Postgres, Redis, Secret, Security, SettingsError
from tests.deploy.onlookers import KEY, beside, settings
from tests.executor.rig import CODEC, NAMESPACE
from tests.shared.samples import FACTS

NOWHERE = dict[str, str]()


def described(config: Path, **sections: object) -> Surroundings:
    """What is found, with whole sections of the settings put in place of others."""
    return Surroundings(machine=replace(found(config, NOWHERE).machine, **sections))


def test_the_servers_that_up_brought_are_found_by_their_files(tmp_path: Path, valkey: Valkey) -> None:
    surroundings = found(beside(tmp_path, valkey), NOWHERE)
    archive = tmp_path / "data" / "postgres"
    archive.mkdir()
    (archive / "port").write_text("5433\n")
    (archive / "password").write_text("hidden\n")

    assert surroundings.redis_url() == valkey.url
    assert surroundings.dsn() == "postgresql://tradecopier:hidden@127.0.0.1:5433/tradecopier"


def test_a_server_that_the_settings_name_goes_before_one_that_up_brought(tmp_path: Path, valkey: Valkey) -> None:
    named = described(
        beside(tmp_path, valkey),
        redis=Redis(url=Secret("redis://other:1/0"), namespace="two"),
        postgres=Postgres(dsn=Secret("postgresql://other/x")),
    )

    assert named.redis_url() == "redis://other:1/0"
    assert named.dsn() == "postgresql://other/x"
    assert named.keys.orders != found(tmp_path / "tradecopier.toml", NOWHERE).keys.orders


def test_a_server_that_nobody_brought_is_named_with_what_to_do(tmp_path: Path) -> None:
    surroundings = found(settings(tmp_path), NOWHERE)

    with pytest.raises(UserError, match=r"no Redis yet: .*`tradecopier up` has not run"):
        surroundings.redis_url()
    with pytest.raises(UserError, match=r"no PostgreSQL yet: .*`tradecopier up` has not run"):
        surroundings.dsn()


def test_another_data_folder_is_another_machine(tmp_path: Path, valkey: Valkey) -> None:
    config = beside(tmp_path, valkey)

    with pytest.raises(UserError, match="no Redis yet"):
        found(config, NOWHERE, tmp_path / "other").redis_url()


def test_the_signing_key_is_the_one_of_the_data_folder_when_the_settings_name_none(tmp_path: Path) -> None:
    unnamed = described(settings(tmp_path), security=Security())
    with pytest.raises(SettingsError, match="signing key cannot be read"):
        unnamed.codec()

    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "signing.key").write_text(KEY)
    (tmp_path / "data" / "signing.key").chmod(0o600)

    assert unnamed.machine.redis.namespace == NAMESPACE
    assert unnamed.codec().fact(CODEC.entry("orders", FACTS[0])) == FACTS[0]
