from pathlib import Path

import pytest

from ingest import settings
from ingest.source import Source
from shared.settings import Secret, SettingsError, read


def loaded(tmp_path: Path, text: str, **environment: str) -> settings.Ingest:
    path = tmp_path / "tradecopier.toml"
    path.write_text(text)
    return settings.load(read(path, environment))


WHOLE = """
[ingest]
listen = "127.0.0.1:8181"
on-proxy-down = "fail"

[ingest.sources.demo]
host = "broker.example:8443/api/v1"
account = "27269"
quantity-unit = "lots"
positions = "hedging"
"""


def test_a_source_is_what_its_table_says(tmp_path: Path) -> None:
    ingest = loaded(tmp_path, WHOLE)
    assert settings.sources(ingest) == (
        Source(
            name="demo", host="broker.example", port=8443, prefix=("api", "v1"), account="27269", quantity_unit="lots",
            positions="hedging",
        ),
    )  # fmt: skip
    assert (ingest.listen, ingest.on_proxy_down) == ("127.0.0.1:8181", "fail")


def test_what_is_not_set_is_auto_and_on_loopback(tmp_path: Path) -> None:
    ingest = loaded(tmp_path, '[ingest.sources.demo]\nhost = "broker.example"\naccount = "*"')
    assert settings.parse_listen(ingest.listen, "listen")[0] == "127.0.0.1"
    assert settings.sources(ingest)[0] == Source(name="demo", host="broker.example", account="*")


def test_a_key_can_come_from_the_environment(tmp_path: Path) -> None:
    changed = {"TRADECOPIER_INGEST__LISTEN": "127.0.0.1:0", "TRADECOPIER_INGEST__SOURCES__DEMO__ACCOUNT": "5"}
    ingest = loaded(tmp_path, WHOLE, **changed)
    assert (ingest.listen, ingest.sources["demo"].account) == ("127.0.0.1:0", "5")


def test_files_lie_beside_the_settings_unless_they_are_told_otherwise(tmp_path: Path) -> None:
    found = settings.places(loaded(tmp_path, WHOLE), tmp_path / "tradecopier.toml")
    assert (found.outbox, found.confdir) == (tmp_path / "data/outbox", tmp_path / "data/proxy")
    told = settings.places(loaded(tmp_path, '[ingest]\noutbox = "/there"\nconfdir = "/here"'), tmp_path / "t.toml")
    assert (told.outbox, told.confdir) == (Path("/there"), Path("/here"))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('[ingest]\nlisten = "8080"', r"^ingest: listen must be host:port"),
        ('[ingest]\nmetrics = "127.0.0.1:99999"', r"^ingest: metrics must be host:port"),
        ("[ingest]\nport = 1", r"^ingest: .*unknown field `port`"),
        ('[ingest]\non-proxy-down = "panic"', r"^ingest\.on-proxy-down: invalid enum value 'panic'"),
        ('[ingest.sources.Demo]\nhost = "a"\naccount = "1"', r"^ingest\.sources\.Demo: the name 'Demo' must"),
        ('[ingest.sources.demo]\nhost = "a"', r"^ingest\.sources\.demo: .*missing required field `account`"),
        ('[ingest.sources.demo]\nhost = "a"\naccount = "1"\nacount = "2"', r"^ingest\.sources\.demo: .*`acount`"),
        (
            '[ingest.sources.demo]\nhost = "a:99999"\naccount = "1"',
            r"^ingest\.sources\.demo: host: '99999' is not a port",
        ),
        ('[ingest.sources.demo]\nhost = "https://a/b"\naccount = "1"', "host: .* is an address: leave out https://"),
        ('[ingest.sources.demo]\nhost = "*.a.com"\naccount = "1"', r"^ingest\.sources\.demo: host: .* is not a host"),
        ('[ingest.sources.demo]\nhost = "a"\naccount = "1/2"', r"^ingest\.sources\.demo: account must be"),
        (
            '[ingest.sources.demo]\nhost = "a"\naccount = "1"\nprotocol = "fix"',
            r"^ingest\.sources\.demo\.protocol: invalid",
        ),
        (
            '[ingest.sources.one]\nhost = "a"\naccount = "1"\n[ingest.sources.two]\nhost = "a"\naccount = "*"',
            r"^ingest\.sources\.two: follows the same account as ingest\.sources\.one",
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_its_path(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as caught:
        loaded(tmp_path, text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("host", ["192.168.1.5", "[::]", "proxy.example"])
def test_a_proxy_that_others_can_reach_wants_a_password(tmp_path: Path, host: str) -> None:
    listen = f'[ingest]\nlisten = "{host}:8080"\n'

    with pytest.raises(SettingsError, match=r"^ingest: listen is .*, which others can reach: set proxy-auth"):
        loaded(tmp_path, listen)

    assert loaded(tmp_path, listen, TRADECOPIER_INGEST__PROXY_AUTH="desk:hush").proxy_auth == Secret("desk:hush")


def test_two_accounts_of_one_host_are_two_sources(tmp_path: Path) -> None:
    both = '[ingest.sources.one]\nhost = "a"\naccount = "1"\n[ingest.sources.two]\nhost = "a"\naccount = "2"'
    assert [source.name for source in settings.require_sources(loaded(tmp_path, both))] == ["one", "two"]


def test_nothing_to_follow_is_a_mistake_when_something_should_run(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"there is no source; add \[ingest\.sources\.NAME\]"):
        settings.require_sources(loaded(tmp_path, ""))


def test_an_account_may_be_written_as_it_stands_in_requests(tmp_path: Path) -> None:
    table = '[ingest.sources.demo]\nhost = "b.example"\naccount = "D%201%2F%D0%91"'
    (source,) = settings.sources(loaded(tmp_path, table))
    assert source.account == "D 1/\u0411"


@pytest.mark.parametrize(
    ("listen", "nearby"),
    [
        ("0.0.0.0:8080", "127.0.0.1:8080"),
        ("[::]:8080", "[::1]:8080"),
        ("[::1]:8080", "[::1]:8080"),
        ("192.0.2.7:80", "192.0.2.7:80"),
    ],
)
def test_what_listens_everywhere_is_reached_on_loopback(listen: str, nearby: str) -> None:
    assert settings.nearby(listen) == nearby
