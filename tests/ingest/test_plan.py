from pathlib import Path

import pytest

from ingest.plan import plan
from shared.settings import SettingsError

URL = {"TRADECOPIER_REDIS__URL": "redis://:secret@127.0.0.1:6379"}
SOURCE = '[ingest.sources.demo]\nhost = "broker.example"\naccount = "10001"\n'
LIVE = (
    SOURCE.replace("10001", "*")
    + """
[executor.accounts.main]
sources = ["demo"]
mode = "live"
[executor.accounts.main.terminal]
kind = "metatrader5"
"""
)


def written(tmp_path: Path, text: str) -> Path:
    key = tmp_path / "key"
    key.write_text("k1:" + "ab" * 32)
    key.chmod(0o600)
    path = tmp_path / "tradecopier.toml"
    path.write_text(f'[security]\nsigning-key-file = "{key}"\n{text}')
    return path


def test_a_plan_is_all_that_the_service_needs(tmp_path: Path) -> None:
    found = plan(written(tmp_path, SOURCE + '[redis]\nnamespace = "desk"'), URL, ready_file=tmp_path / "ready")
    assert (found.redis_url, found.namespace) == (URL["TRADECOPIER_REDIS__URL"], "desk")
    assert [source.name for source in found.sources] == ["demo"]
    assert found.places.outbox == tmp_path / "data/outbox"
    assert (found.keyring.current, found.ready_file) == ("k1", tmp_path / "ready")


@pytest.mark.parametrize(
    ("text", "environment", "complaint"),
    [
        (SOURCE, {}, "redis.url is not set: name your Redis, or run `tradecopier up`"),
        ("", URL, "ingest.sources: there is no source; add"),
        (LIVE, URL, 'ingest.sources.demo.account is "*", and executor.accounts.main is live: name the one to copy'),
        (SOURCE, URL | {"TRADECOPIER_INGEST__LISTEN": "nowhere"}, "ingest: listen must be host:port"),
        (
            SOURCE,
            URL | {"TRADECOPIER_SECURITY__SIGNING_KEY_FILE": "/nowhere"},
            "/nowhere: the signing key cannot be read",
        ),
    ],
)
def test_what_the_user_can_mend_is_one_line(
    tmp_path: Path, text: str, environment: dict[str, str], complaint: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(written(tmp_path, text), environment)
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)
