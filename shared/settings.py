"""One TOML file and the environment, turned into frozen structs; a mistake is one line that names its path.

Each service declares the table it reads; this module knows the tables that services share and how all are read.
Every key can be overridden as `TRADECOPIER_SECTION__KEY`, where an underscore stands for a hyphen. A file in which a
password is written out has to be ours alone.
"""

import re
import tomllib
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from shared import vault
from shared.process import UserError
from shared.wire import KEY_ID, SOUND_KEY_BYTES, Keyring

PREFIX = "TRADECOPIER_"
SECTIONS = ("redis", "postgres", "security", "ingest", "executor", "archiver")
NAME = re.compile(r"[a-z0-9-]+")
KEY = re.compile(rf"{KEY_ID.pattern}:(?:[0-9a-f]{{2}})+(?::retired)?")
PASSWORDS, ADDRESSES = ("password", "proxy-auth", "sentinel-password"), ("url", "dsn")
"""The keys of secrets, and of addresses that may have one in them."""


class SettingsError(UserError):
    """The settings cannot be used; the message says where and what to change."""


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of the settings file: its keys are the field names with hyphens, unknown keys are errors."""


class Secret:
    """A value that no log, error or repr shows; `reveal()` gives it. It may be kept elsewhere (see `shared.vault`)."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself. Raises UserError when the place that is named for it does not give it."""
        return vault.found(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class Redis(Table, frozen=True, kw_only=True):
    """Where the streams are. Without a url, `up` starts the embedded server and hands its url on.

    `username` and `password` go before those in the url. With `rediss://` the server's certificate is checked, against
    the authority in `ca_file` too; `cert_file` and `key_file` are ours, for a server that wants to see one.
    `sentinel_username` and `sentinel_password` are for the Sentinels of a `redis+sentinel://`.
    """

    url: Secret | None = None
    namespace: str = "main"
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    sentinel_username: str | None = None
    sentinel_password: Secret | None = None

    def __post_init__(self) -> None:
        require_name(self.namespace)


class Postgres(Table, frozen=True, kw_only=True):
    """Where the archive is. Without a dsn, `up` starts the embedded server and hands its dsn on.

    `password` may be given apart from the dsn. Encryption is asked for in the dsn, as libpq has it
    (`sslmode=verify-full`, `sslrootcert`, `sslcert`, `sslkey`).
    """

    dsn: Secret | None = None
    password: Secret | None = None


class Security(Table, frozen=True, kw_only=True):
    """The keys that entries are signed with. Without a file, `up` makes one."""

    signing_key_file: Path | None = None


T = TypeVar("T", bound=Table)
Document = Mapping[str, Any]


def read(path: Path, environment: Mapping[str, str]) -> Document:
    """The settings file with the environment laid over it.

    Raises SettingsError: there is no such file, it is not TOML, it has a section that nobody knows, or others
    can read its passwords.
    """
    written = _parse(path)
    if (key := _written_out(written)) is not None:
        _require_private(path, key)
    document = _overlay(written, environment)
    unknown = sorted(set(document) - set(SECTIONS))
    if unknown:
        raise SettingsError(f"{path}: there is no section [{unknown[0]}]; the sections are {', '.join(SECTIONS)}")
    return document


def section(document: Document, name: str, kind: type[T]) -> T:
    """The section `name` as `kind`. Raises SettingsError naming the path of the key that is wrong."""
    table = document.get(name, {})
    try:
        return _converted(table, kind)
    except msgspec.ValidationError as error:
        raise SettingsError(_readable(name, _named(table, kind, str(error)))) from error


def require_name(name: str) -> None:
    """Names of namespaces, sources and accounts become parts of keys and files: `[a-z0-9-]+`. Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(f"the name {name!r} must be made of a-z, 0-9 and hyphens")


def keyring(security: Security) -> Keyring:
    """The signing keys of the key file: the first one signs. Raises SettingsError."""
    path = security.signing_key_file
    if path is None:
        raise SettingsError("security.signing-key-file is not set: name the file that `up` made, or run `up`")
    try:
        vault.require_private(path, "the signing key")
        return parse_keyring(path.read_text().split(), path)
    except OSError as error:
        raise SettingsError(f"{path}: the signing key cannot be read ({error.strerror})") from error
    except UserError as error:
        raise SettingsError(str(error)) from error


def parse_keyring(lines: list[str], path: Path) -> Keyring:
    """The keys in the words of a key file: `id:hex`, or `id:hex:retired` for one that only the archive still needs.

    Raises SettingsError when there is none that signs, or one is unusable.
    """
    keys: dict[str, bytes] = {}
    retired: dict[str, bytes] = {}
    for line in lines:
        name, _, rest = line.partition(":")
        value, *more = rest.split(":")
        if not KEY.fullmatch(line) or len(value) < 2 * SOUND_KEY_BYTES:
            raise SettingsError(f"{path}: key {name!r} must be `id:hex` with at least {SOUND_KEY_BYTES} bytes of hex")
        if name in keys or name in retired:
            raise SettingsError(f"{path}: there are two keys of the name {name!r}; leave the one that is in use")
        (retired if more else keys)[name] = bytes.fromhex(value)
    if not keys:
        raise SettingsError(f"{path}: there is no signing key in it; remove the file and `up` makes a new one")
    return Keyring(current=next(iter(keys)), keys=keys, retired=retired, file=str(path))


def _written_out(table: Mapping[str, Any], path: str = "") -> str | None:
    """The path of the first key whose value is a password, or an address with one in it; None when there is none."""
    for name, value in table.items():
        key = f"{path}.{name}".removeprefix(".")
        if isinstance(value, Mapping):
            if (found := _written_out(value, key)) is not None:
                return found
        elif isinstance(value, str) and not vault.elsewhere(value) and _tells(name, value):
            return key
    return None


def _tells(name: str, value: str) -> bool:
    if name not in ADDRESSES:
        return name in PASSWORDS
    try:
        return "password=" in value or urlsplit(value).password is not None
    except ValueError:
        return "@" in value  # a bracket or the like: in a password, or in several hosts with none


def _require_private(path: Path, key: str) -> None:
    try:
        vault.require_private(path, f"the password in {key}")
    except UserError as error:
        raise SettingsError(str(error)) from error


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


def _converted(table: Any, kind: type[T]) -> T:
    return msgspec.convert(table, kind, strict=False, dec_hook=_decode)


def _named(table: Any, kind: type[Table], message: str) -> str:
    """The message with the name of the account or source, for which msgspec writes `[...]`: each is tried alone."""
    group = message.partition("[...]")[0].rpartition(" - at `$.")[2]
    members = table.get(group) if isinstance(table, Mapping) else None
    for name, member in members.items() if isinstance(members, Mapping) else ():
        try:
            _converted({**table, group: {name: member}}, kind)
        except msgspec.ValidationError as error:
            if str(error) == message:
                return message.replace("[...]", f".{name}", 1)
    return message


def _readable(name: str, message: str) -> str:
    text, _, path = message.partition(" - at `$")
    where = (name + path.rstrip("`")).replace("[...]", "")
    return f"{where}: {text[0].lower()}{text[1:]}"
