"""One TOML file and the environment, turned into frozen structs; a mistake is one line that names its path.

Each service declares the table it reads; this module knows the tables that services share and how all are read.
Every key can be overridden as `TRADECOPIER_SECTION__KEY`, where an underscore stands for a hyphen.
"""

import re
import stat
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shared.process import UserError
from shared.wire import SOUND_KEY_BYTES, Keyring

PREFIX = "TRADECOPIER_"
SECTIONS = ("redis", "postgres", "security", "ingest", "executor", "archiver")
NAME = re.compile(r"[a-z0-9-]+")


class SettingsError(UserError):
    """The settings cannot be used; the message says where and what to change."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the settings file: its keys are the field names with hyphens, unknown keys are errors."""


class Secret:
    """A value that no log, error or repr shows; `reveal()` gives it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Redis(Table, frozen=True, kw_only=True):
    """Where the streams are. Without a url, `up` starts the embedded server and hands its url on."""

    url: Secret | None = None
    namespace: str = "main"

    def __post_init__(self) -> None:
        require_name(self.namespace)


class Postgres(Table, frozen=True, kw_only=True):
    """Where the archive is. Without a dsn, `up` starts the embedded server and hands its dsn on."""

    dsn: Secret | None = None


class Security(Table, frozen=True, kw_only=True):
    """The keys that entries are signed with. Without a file, `up` makes one."""

    signing_key_file: Path | None = None


T = TypeVar("T", bound=Table)
Document = Mapping[str, Any]


def read(path: Path, environment: Mapping[str, str]) -> Document:
    """The settings file with the environment laid over it. A missing file is an empty one if it is the default.

    Raises SettingsError: the file is not TOML, or it has a section that nobody knows.
    """
    document = _overlay(_parse(path), environment)
    unknown = sorted(set(document) - set(SECTIONS))
    if unknown:
        raise SettingsError(f"{path}: there is no section [{unknown[0]}]; the sections are {', '.join(SECTIONS)}")
    return document


def section(document: Document, name: str, kind: type[T]) -> T:
    """The section `name` as `kind`. Raises SettingsError naming the path of the key that is wrong."""
    try:
        return msgspec.convert(document.get(name, {}), kind, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_readable(name, str(error))) from error


def require_name(name: str) -> None:
    """Names of namespaces, sources and accounts become parts of keys and files: `[a-z0-9-]+`. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} must be made of a-z, 0-9 and hyphens")


def keyring(security: Security) -> Keyring:
    """The signing keys: lines of `id:hex`, the first of which signs. Raises SettingsError."""
    path = security.signing_key_file
    if path is None:
        raise SettingsError("security.signing-key-file is not set: name the file that `up` made, or run `up`")
    try:
        lines = path.read_text().split()
        mode = path.stat().st_mode
    except OSError as error:
        raise SettingsError(f"{path}: the signing key cannot be read ({error.strerror})") from error
    if stat.S_IMODE(mode) & 0o077:
        raise SettingsError(f"{path}: others can read the signing key; run `chmod 600 {path}`")
    return parse_keyring(lines, path)


def parse_keyring(lines: list[str], path: Path) -> Keyring:
    """The keys in the words of a key file. Raises SettingsError when there is none or one is unusable."""
    keys: dict[str, bytes] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if not re.fullmatch(r"[0-9a-f]*", value) or len(value) % 2 or len(value) < 2 * SOUND_KEY_BYTES:
            raise SettingsError(f"{path}: key {name!r} must be `id:hex` with at least {SOUND_KEY_BYTES} bytes of hex")
        keys[name] = bytes.fromhex(value)
    if not keys:
        raise SettingsError(f"{path}: there is no signing key in it; remove the file and `up` makes a new one")
    return Keyring(current=next(iter(keys)), keys=keys)


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError as error:
        raise SettingsError(f"{path}: there is no such settings file; name one with --config") from error
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read ({error})") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


def _overlay(document: dict[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    for name, value in sorted(environment.items()):
        steps = [s.lower().replace("_", "-") for s in name.removeprefix(PREFIX).split("__")]
        if name.startswith(PREFIX) and len(steps) > 1 and all(steps):
            _place(document, steps, value, name)
    return document


def _place(table: dict[str, Any], steps: list[str], value: str, name: str) -> None:
    for step in steps[:-1]:
        table = table.setdefault(step, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{name}: {step} is a value in the settings file, not a table")
    table[steps[-1]] = _value(value)


def _value(text: str) -> Any:
    if text[:1] in "[{":
        try:
            return msgspec.json.decode(text)
        except msgspec.DecodeError:
            return text
    return text


def _decode(kind: type, value: Any) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    raise NotImplementedError(kind)


def _readable(name: str, message: str) -> str:
    text, _, path = message.partition(" - at `$")
    where = (name + path.rstrip("`")).replace("[...]", "")
    return f"{where}: {text[0].lower()}{text[1:]}"
