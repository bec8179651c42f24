"""Where a secret of the settings is kept: written out, in a file of its own, in the environment, or in the operating
system's keyring.

A secret is looked up when it is used and not when the settings are read, so that a service needs no secret but its own.
What others on the machine can read is refused.
"""

import importlib
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from shared.process import UserError


def found(spelled: str) -> str:
    """The secret that the settings spell as `file:PATH`, `env:NAME`, `keyring:SERVICE/NAME` or plainly.

    Raises UserError, which names the place and never the secret.
    """
    scheme, separator, place = spelled.partition(":")
    look_up = PLACES.get(scheme) if separator else None
    return look_up(place) if look_up is not None else spelled


def elsewhere(spelled: str) -> bool:
    """Whether the settings only say where the secret is."""
    scheme, separator, _ = spelled.partition(":")
    return bool(separator) and scheme in PLACES


def require_private(path: Path, what: str) -> None:
    """Refuse a file that others can read. Raises UserError; on Windows, which keeps no such bits, never for that."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise UserError(f"{path}: {what} cannot be read ({error.strerror})") from error
    if sys.platform != "win32" and stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path}: others can read {what}; run `chmod 600 {path}`")


def _file(place: str) -> str:
    path = Path(place).expanduser()
    require_private(path, "the secret in it")
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: the secret in it cannot be read") from error
    if not secret:
        raise UserError(f"{path}: there is no secret in it")
    return secret


def _environment(name: str) -> str:
    secret = os.environ.get(name, "")
    if not secret:
        raise UserError(f"the settings look for a secret in the environment variable {name}, which is not set")
    return secret


def _keyring(place: str) -> str:
    """The library is not one of ours: who wants it installs it."""
    service, _, name = place.rpartition("/")
    try:
        library = importlib.import_module("keyring")
    except ModuleNotFoundError as error:
        how = f"`{sys.executable} -m pip install keyring`"
        raise UserError(f"keyring:{place} needs the Python package keyring; install it with {how}") from error
    try:  # its back ends raise what they like
        secret = library.get_password(service, name)
    except Exception as error:
        raise UserError(f"keyring:{place}: the keyring gives no answer ({type(error).__name__})") from error
    if not secret:
        raise UserError(f"keyring:{place}: there is no such entry; make it with `keyring set {service} {name}`")
    return str(secret)


PLACES: Mapping[str, Callable[[str], str]] = {"file": _file, "env": _environment, "keyring": _keyring}
