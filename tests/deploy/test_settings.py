"""The settings as `up` reads them, and the example that a user starts from."""

import re
import stat
import tomllib
from pathlib import Path

import pytest

import deploy
from archiver.settings import Archiver
from deploy import settings
from executor.settings import Account, Limits, MetaTrader5, Settings, Simulated, Sizing, Symbols
from ingest.settings import Ingest, SourceTable
from shared.settings import Postgres, Redis, Secret, Security, SettingsError, Table

EXAMPLE = Path(deploy.__file__).parent / "tradecopier.toml"
SOUND = """
[ingest.sources.demo]
host = "localhost:1"
account = "1"
[executor.accounts.one]
sources = ["demo"]
[executor.accounts.one.terminal]
kind = "simulated"
password = "hush"
[executor.accounts.two-b]
sources = ["demo"]
[executor.accounts.two-b.terminal]
kind = "simulated"
address = "127.0.0.1:7"
"""


def load(folder: Path, text: str, environment: dict[str, str] | None = None) -> settings.Machine:
    file = folder / "tradecopier.toml"
    file.write_text(text)
    file.chmod(0o600)
    return settings.load(file, None, environment or {})


def test_the_example_can_be_used_as_it_is() -> None:
    machine = settings.load(EXAMPLE, None, {})
    assert list(machine.ingest.sources) == ["fusion"]
    assert not machine.executor.accounts["main"].live
    assert machine.data == EXAMPLE.parent / "data"


def test_everything_the_example_only_shows_can_be_used_too(tmp_path: Path) -> None:
    shown = re.sub(r"(?m)^# (?=[a-z-]+ = |\[)", "", EXAMPLE.read_text())
    real = shown.index('kind = "metatrader5"')
    simulated = shown[: shown.rindex("#\n", 0, real)] + shown[shown.index("[executor.accounts.main.symbols]") :]
    sizing = load(tmp_path, simulated).executor.accounts["main"].sizing
    assert sizing.of("XAUUSD").factor != sizing.factor
    other = shown[: shown.index('kind = "simulated"')] + shown[real:]
    assert isinstance(load(tmp_path, other).executor.accounts["main"].terminal, MetaTrader5)


@pytest.mark.parametrize(
    "table",
    [
        Redis,
        Postgres,
        Security,
        Ingest,
        SourceTable,
        Settings,
        Account,
        Simulated,
        MetaTrader5,
        Symbols,
        Sizing,
        Limits,
        Archiver,
    ],
)
def test_the_example_names_every_key(table: type[Table]) -> None:
    tables = {"sources", "accounts", "terminal", "symbols", "sizing", "limits"}
    named = set(re.findall(r"(?m)^(?:# )?([a-z0-9-]+) = ", EXAMPLE.read_text()))
    keys = {field.replace("_", "-") for field in table.__struct_fields__}
    assert keys - named - tables == set()


def test_the_defaults_that_the_example_shows_are_the_real_ones() -> None:
    text = EXAMPLE.read_text()
    for table, section in ((Limits, "limits"), (Archiver, "archiver"), (Ingest, "ingest")):
        part = text[re.search(rf"(?m)^\[(?:[a-z.]*\.)?{section}\]$", text).start() + 1 :]  # type: ignore[union-attr]
        part = part[: found.start()] if (found := re.search(r"(?m)^\[", part)) else part
        for key, value in re.findall(r"(?m)^# ([a-z-]+) = ([^#\n]+)", part):
            default = getattr(table(), key.replace("-", "_"))
            if default not in (None, frozenset(), ()) and key != "symbols-allowed":
                said = tomllib.loads(f"x = {value}")["x"]
                assert default == (frozenset(said) if isinstance(default, frozenset) else said), key


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "ingest.sources: there is no source"),
        ("[nonsense]", r"there is no section \[nonsense\]"),
        ('[redis]\nurl = ""\nport = 1', "redis.*port"),
        (SOUND.replace('["demo"]', '["other"]', 1), r"one.sources: there is no \[ingest.sources.other\]"),
        (SOUND.split("[executor", maxsplit=1)[0], "executor.accounts: there is no account"),
        (SOUND + "speed = 3", r"^executor\.accounts\.two-b\.terminal: .*speed"),
        (SOUND.replace("[executor.accounts.two-b]", "[executor.accounts.two-b]\nmode = 7"), r"\.two-b\.mode: "),
        (SOUND + "[archiver]\nlinger = 60", "archiver.linger"),
        (SOUND.replace("localhost:1", "localhost:one"), "ingest.sources.demo.*host"),
        ("[redis", "not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place(tmp_path: Path, text: str, line: str) -> None:
    with pytest.raises(SettingsError, match=line) as raised:
        load(tmp_path, text)
    assert "\n" not in str(raised.value)


EVERY_ACCOUNT = """
[ingest.sources.demo]
host = "localhost:1"
account = "*"
[executor.accounts.one]
sources = ["demo"]
mode = "MODE"
[executor.accounts.one.terminal]
kind = "KIND"
"""


def every_account(mode: str, kind: str) -> str:
    more = 'path = "t.exe"\nlogin = 1\nserver = "S"\npassword = "p"\n' if kind == "metatrader5" else ""
    return EVERY_ACCOUNT.replace("MODE", mode).replace("KIND", kind) + more


def test_real_money_follows_one_account_that_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"sources\.demo\.account is .*accounts\.one is live: name the one to copy"):
        load(tmp_path, every_account("live", "metatrader5"))
    for mode, kind in (("shadow", "metatrader5"), ("live", "simulated")):
        assert load(tmp_path, every_account(mode, kind)).ingest.sources["demo"].account == "*"


def test_only_accounts_without_an_address_need_a_terminal(tmp_path: Path) -> None:
    assert list(load(tmp_path, SOUND).simulated) == ["one"]


def test_a_signing_key_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    machine = load(tmp_path, SOUND)
    machine.data.mkdir()
    path = settings.signing_key(machine)
    made = path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(r"k1:[0-9a-f]{64}\n", made)
    assert settings.signing_key(machine).read_text() == made


def test_a_signing_key_that_the_settings_name_is_left_alone(tmp_path: Path) -> None:
    machine = load(tmp_path, SOUND + f'[security]\nsigning-key-file = "{tmp_path / "mine"}"')
    assert settings.signing_key(machine) == tmp_path / "mine"
    assert not (tmp_path / "mine").exists()


def test_what_services_are_told_reads_back_as_settings(tmp_path: Path) -> None:
    machine = load(tmp_path, SOUND)
    machine.data.mkdir()
    told = settings.environment(machine, Secret("redis://r"), Secret("postgresql://p"), {"one": "127.0.0.1:9"})
    again = load(tmp_path, SOUND, told)
    assert (again.redis.url, again.postgres.dsn) == (Secret("redis://r"), Secret("postgresql://p"))
    assert again.simulated == {}
    assert again.ingest.outbox == machine.data / "outbox"
    assert again.security.signing_key_file == machine.data / "signing.key"


def test_a_terminal_is_told_its_password_and_the_rest(tmp_path: Path) -> None:
    options = settings.terminal_options(load(tmp_path, SOUND).simulated["one"])
    assert options == {"margin_mode": "hedging", "balance": "100000", "currency": "USD", "seed": 1, "password": "hush"}
