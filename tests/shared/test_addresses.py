"""An address is put together from what the settings say apart, whatever characters a password has."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict
from redis.asyncio.connection import SSLConnection, parse_url

from shared import endpoints
from shared.addresses import postgres_dsn, redis_url, unencrypted
from shared.process import UserError
from shared.settings import Postgres, Redis, Secret, SettingsError

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


def understood(redis: Redis) -> Mapping[str, Any]:
    """What the client library makes of it."""
    return dict(parse_url(redis_url(redis)))


def plain(spelled: str) -> bool:
    return spelled.partition(":")[0] not in ("file", "env", "keyring")


@given(TEXTS, TEXTS.filter(plain))
def test_user_and_password_of_redis_arrive_as_they_are(user: str, password: str) -> None:
    redis = Redis(url=Secret("redis://server:6380/2"), username=user, password=Secret(password))

    found = understood(redis)

    assert (found["username"], found["password"]) == (user, password)
    assert (found["host"], found["port"], found["db"]) == ("server", 6380, 2)


@given(TEXTS.filter(plain))
def test_a_password_of_postgres_arrives_as_it_is_in_either_form(password: str) -> None:
    for dsn in ("postgresql://u@server/db", "postgresql://u@server/db?sslmode=verify-full", "host=server user=u"):
        found = conninfo_to_dict(postgres_dsn(Postgres(dsn=Secret(dsn), password=Secret(password))))
        assert (found["password"], found["host"], found["user"]) == (password, "server", "u")


def test_what_is_set_apart_goes_before_what_stands_in_the_url() -> None:
    url = Secret("redis://one:first@server/0")

    assert understood(Redis(url=url))["password"] == "first"
    assert understood(Redis(url=url, password=Secret("second")))["username"] == "one"
    assert understood(Redis(url=url, password=Secret("second")))["password"] == "second"
    assert understood(Redis(url=Secret("redis://[::1]:1/0"), password=Secret("p")))["host"] == "::1"


def test_what_is_empty_is_not_set() -> None:
    """As an environment has it whose variable is there without a value."""
    redis = Redis(url=Secret("redis://one:first@server/0"), username="", password=Secret(""))

    assert (understood(redis)["username"], understood(redis)["password"]) == ("one", "first")
    assert postgres_dsn(Postgres(dsn=Secret("host=server"), password=Secret(""))) == "host=server"


def test_a_socket_has_no_server_and_may_have_a_password() -> None:
    assert redis_url(Redis(url=Secret("unix:///run/redis.sock"))).endswith("/run/redis.sock")
    assert understood(Redis(url=Secret("unix:///run/redis.sock"), password=Secret("p")))["password"] == "p"


def test_files_reach_the_client(tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("ca file", "cert", "key")}
    for path in files.values():
        path.write_text("x")
        path.chmod(0o600)
    redis = Redis(
        url=Secret("rediss://server/0?ssl_min_version=771"),
        ca_file=files["ca file"],
        cert_file=files["cert"],
        key_file=files["key"],
    )

    found = understood(redis)

    assert found["connection_class"] is SSLConnection
    assert [found[f"ssl_{name}"] for name in ("ca_certs", "certfile", "keyfile")] == [str(p) for p in files.values()]
    assert found["ssl_min_version"] == 771


def test_an_address_that_was_put_together_can_be_again(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("x")
    redis = Redis(url=Secret("rediss://server/0"), username="u", password=Secret("p"), ca_file=tmp_path / "ca")
    once = redis_url(redis)

    assert parse_url(redis_url(Redis(url=Secret(once), ca_file=tmp_path / "ca"))) == parse_url(once)


def test_who_knows_the_primary_is_told_what_it_needs_and_keeps_it_when_it_is_put_together_again() -> None:
    watched = Redis(
        url=Secret("redis+sentinel://a:1,b:2/desk"),
        password=Secret("p/w"),
        sentinel_username="u",
        sentinel_password=Secret("q&r"),
    )
    once = redis_url(watched)
    named = endpoints.understood(once)

    assert (named.servers, named.service) == ((("a", 1), ("b", 2)), "desk")
    assert (named.username, named.password) == ("u", "q&r")
    assert parse_url(named.connection)["password"] == "p/w"
    assert redis_url(Redis(url=Secret(once))) == once


def test_a_cluster_is_asked_for_the_namespace_s_slot_with_all_that_proves_who_we_are(tmp_path: Path) -> None:
    (tmp_path / "ca").write_text("x")
    found = redis_url(Redis(url=Secret("rediss+cluster://a,b:2"), namespace="desk-7", ca_file=tmp_path / "ca"))
    named = endpoints.understood(found)

    assert (named.namespace, named.servers) == ("desk-7", (("a", 6379), ("b", 2)))
    assert dict(parse_url(named.connection))["ssl_ca_certs"] == str(tmp_path / "ca")


MISTAKES = {
    "nothing": (Redis(), "redis.url is not set"),
    "a password with a slash": (Redis(url=Secret("redis://:hu/sh@server:1/0")), "goes into redis.password"),
    "a password with a bracket": (Redis(url=Secret("redis://:hu[sh@server/0")), "goes into redis.password"),
    "another scheme": (Redis(url=Secret("http://server")), "redis.url must be as in"),
    "files without encryption": (
        Redis(url=Secret("redis://s"), ca_file=Path("/ca")), "redis.ca-file is set, but redis.url is not encrypted",
    ),
    "files without encryption to Sentinels": (
        Redis(url=Secret("redis+sentinel://s/desk"), ca_file=Path("/ca")), r"it must begin rediss://, or rediss\+",
    ),
    "a password for Sentinels that are not there": (
        Redis(url=Secret("redis://s"), sentinel_password=Secret("p")), "redis.sentinel-password is set, but redis.url",
    ),
    "a service without a name": (Redis(url=Secret("redis+sentinel://s:1")), "redis.url must say which service"),
    "half a certificate": (Redis(url=Secret("rediss://s"), cert_file=Path("/c")), "belong together"),
    "no such authority": (Redis(url=Secret("rediss://s"), ca_file=Path("/no/ca")), "redis.ca-file: /no/ca"),
}  # fmt: skip


@pytest.mark.parametrize(("redis", "line"), MISTAKES.values(), ids=MISTAKES)
def test_names(redis: Redis, line: str) -> None:
    with pytest.raises(SettingsError, match=line) as caught:
        redis_url(redis)

    assert "\n" not in str(caught.value)
    assert not any(part in str(caught.value) for part in ("hu/", "hu[", "sh@"))


def test_our_private_key_has_to_be_ours_alone(tmp_path: Path) -> None:
    for name in ("cert", "key"):
        (tmp_path / name).write_text("x")
    redis = Redis(url=Secret("rediss://s"), cert_file=tmp_path / "cert", key_file=tmp_path / "key")

    with pytest.raises(UserError, match="others can read the private key; run `chmod 600"):
        redis_url(redis)


def test_a_missing_archive_says_who_brings_one() -> None:
    with pytest.raises(SettingsError, match=r"postgres.dsn is not set: .*`tradecopier up`"):
        postgres_dsn(Postgres())


WAYS = {
    "redis://:p@127.0.0.1:1/0": None,
    "redis://localhost/0": None,
    "redis://[::1]:1/0": None,
    "rediss://server/0": None,
    "unix:///run/redis.sock": None,
    "redis://u:p@server.example:1/0": "server.example",
    "redis+sentinel://127.0.0.1:1,localhost/desk": None,
    "rediss+cluster://one.example,two.example": None,
    "redis+cluster://:p@localhost,two.example:3": "two.example",
}


@pytest.mark.parametrize(("url", "host"), WAYS.items(), ids=WAYS)
def test_a_way_that_others_can_listen_on_is_known(url: str, host: str | None) -> None:
    assert unencrypted(url) == host
