"""A settings mistake is one line that names the path; a secret never shows."""

from pathlib import Path

import msgspec
import pytest

from shared import settings
from shared.settings import Secret, SettingsError

KEY = "k1:" + "ab" * 32


class Sample(settings.Table, frozen=True, kw_only=True):
    batch_size: int = 1
    names: tuple[str, ...] = ()
    folder: Path | None = None


def write(folder: Path, text: str) -> Path:
    path = folder / "tradecopier.toml"
    path.write_text(text)
    return path


def test_reads_a_section_with_its_hyphens(tmp_path: Path) -> None:
    document = settings.read(write(tmp_path, "[archiver]\nbatch-size = 7\n"), {})

    assert settings.section(document, "archiver", Sample).batch_size == 7


def test_the_environment_wins_and_its_underscores_are_hyphens(tmp_path: Path) -> None:
    path = write(tmp_path, "[archiver]\nbatch-size = 7\n")
    environment = {"TRADECOPIER_ARCHIVER__BATCH_SIZE": "9", "TRADECOPIER_ARCHIVER__NAMES": '["a", "b"]', "HOME": "x"}

    read = settings.section(settings.read(path, environment), "archiver", Sample)

    assert (read.batch_size, read.names) == (9, ("a", "b"))


MISTAKES = {
    "an unknown section": ("[archivr]\n", {}, r"there is no section \[archivr\]"),
    "an unknown key": ("[archiver]\nbatchsize = 1\n", {}, "archiver: object contains unknown field `batchsize`"),
    "a wrong type": ('[archiver]\nbatch-size = "many"\n', {}, "archiver.batch-size: expected `int`"),
    "not TOML": ("[archiver\n", {}, "not valid TOML"),
    "a value where a table belongs": ("archiver = 1\n", {"TRADECOPIER_ARCHIVER__X": "1"}, "not a table"),
}


@pytest.mark.parametrize(("text", "environment", "line"), MISTAKES.values(), ids=MISTAKES)
def test_names(tmp_path: Path, text: str, environment: dict[str, str], line: str) -> None:
    with pytest.raises(SettingsError, match=line) as caught:
        settings.section(settings.read(write(tmp_path, text), environment), "archiver", Sample)

    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no such settings file"):
        settings.read(tmp_path / "absent.toml", {})


def test_a_secret_never_shows_and_can_be_had() -> None:
    url = settings.section({"redis": {"url": "redis://:pw@host"}}, "redis", settings.Redis).url

    assert url == Secret("redis://:pw@host")
    assert "pw" not in repr(url)
    assert "pw" not in repr(msgspec.structs.replace(settings.Redis(), url=url))


@pytest.mark.parametrize("name", ["", "Main", "a_b", "a.b", "a b", "ä"])
def test_a_name_that_cannot_be_part_of_a_key_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="redis"):
        settings.section({"redis": {"namespace": name}}, "redis", settings.Redis)


def keyfile(folder: Path, text: str, mode: int = 0o600) -> settings.Security:
    path = folder / "key"
    path.write_text(text)
    path.chmod(mode)
    return settings.Security(signing_key_file=path)


def test_the_first_key_signs_and_all_verify(tmp_path: Path) -> None:
    ring = settings.keyring(keyfile(tmp_path, f"k2:{'cd' * 32}\n{KEY}\n"))

    assert (ring.current, set(ring.keys)) == ("k2", {"k1", "k2"})


def test_a_retired_key_neither_signs_nor_verifies_but_for_the_archive(tmp_path: Path) -> None:
    ring = settings.keyring(keyfile(tmp_path, f"{KEY}:retired\nk2:{'cd' * 32}\n"))

    assert (ring.current, set(ring.keys), set(ring.retired)) == ("k2", {"k2"}, {"k1"})
    assert set(ring.with_retired().keys) == {"k1", "k2"}
    assert ring.file == str(tmp_path / "key")


BAD_KEYS = {
    "an empty file": ("", 0o600, "no signing key"),
    "a short key": ("k1:abcd", 0o600, "at least 16 bytes"),
    "only a retired key": (f"{KEY}:retired", 0o600, "no signing key"),
    "two keys of one name": (f"{KEY}\n{KEY}", 0o600, "two keys of the name 'k1'"),
    "a word that nobody knows": (f"{KEY}:old", 0o600, "must be `id:hex`"),
    "no hex": ("k1:" + "zz" * 32, 0o600, "must be `id:hex`"),
    "a file that others can read": (KEY, 0o644, "chmod 600"),
}


@pytest.mark.parametrize(("text", "mode", "line"), BAD_KEYS.values(), ids=BAD_KEYS)
def test_refuses_a_key_file_with(tmp_path: Path, text: str, mode: int, line: str) -> None:
    with pytest.raises(SettingsError, match=line):
        settings.keyring(keyfile(tmp_path, text, mode))


def test_says_when_no_key_file_is_set() -> None:
    with pytest.raises(SettingsError, match="signing-key-file is not set"):
        settings.keyring(settings.Security())


WRITTEN_OUT = (
    ("redis.password", '[redis]\npassword = "hush"'),
    ("redis.url", '[redis]\nurl = "redis://:hush@server/0"'),
    ("redis.url", '[redis]\nurl = "redis://:hu[sh@server/0"'),
    ("postgres.dsn", '[postgres]\ndsn = "host=server password=hush"'),
    ("ingest.proxy-auth", '[ingest]\nproxy-auth = "desk:hush"'),
    ("executor.accounts.one.terminal.password", '[executor.accounts.one.terminal]\npassword = "hush"'),
)


@pytest.mark.parametrize(("key", "text"), WRITTEN_OUT)
def test_a_settings_file_with_a_password_has_to_be_ours_alone(tmp_path: Path, key: str, text: str) -> None:
    path = write(tmp_path, text)
    path.chmod(0o644)

    with pytest.raises(SettingsError, match=rf"others can read the password in {key}; run `chmod 600 ") as caught:
        settings.read(path, {})

    assert "hush" not in str(caught.value)
    path.chmod(0o600)
    settings.read(path, {})


ELSEWHERE = (
    '[redis]\nurl = "redis://server/0"\npassword = "file:/etc/secret"',
    '[postgres]\ndsn = "file:/etc/dsn"\npassword = "env:PASSWORD"',
    '[executor.accounts.one.terminal]\npassword = "keyring:copier/one"',
    '[redis]\nurl = "redis+sentinel://one:1,[::1]:2/desk"',
)


@pytest.mark.parametrize("text", ELSEWHERE)
def test_a_settings_file_that_only_says_where_passwords_are_may_be_read_by_others(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    path.chmod(0o644)

    settings.read(path, {"TRADECOPIER_REDIS__PASSWORD": "hush"})
