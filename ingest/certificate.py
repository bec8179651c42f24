"""The proxy's own certificate authority: where it is, how a computer is made to trust it, and how that is undone.

What has to be run on which system is decided by pure functions; `carry_out` runs it, says what it does, and how to
undo it. The authority is made on this machine, its key (mode 0600) never leaves it, and it only signs for hosts that
are opened.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal, assert_never

from msgspec import Struct

from shared.process import UserError

Platform = Literal["linux", "windows", "macos"]
Argv = tuple[str, ...]

NICKNAME = "tradecopier-proxy"
"""Under this name the authority stands in the stores that want one."""


class Authority(Struct, frozen=True, kw_only=True):
    """The authority's certificate. `spki` is what `--ignore-certificate-errors-spki-list` of Chromium wants."""

    pem: Path
    cer: Path
    subject: str
    sha1: str
    sha256: str
    spki: str
    expires: datetime


class Anchors(Struct, frozen=True):
    """Where a Linux distribution wants additional authorities, and what makes it read them."""

    directory: Path
    suffix: str
    refresh: Argv


class System(Struct, frozen=True, kw_only=True):
    """What matters about this computer. `databases` are those of Firefox and Chromium (NSS); `elevate` is how to
    become root.
    """

    platform: Platform
    home: Path
    anchors: Anchors | None = None
    databases: tuple[Path, ...] = ()
    elevate: Argv = ()


class Step(Struct, frozen=True):
    """One command and what it is for."""

    argv: Argv
    what: str


ANCHORS = (
    Anchors(Path("/usr/local/share/ca-certificates"), ".crt", ("update-ca-certificates",)),
    Anchors(Path("/etc/pki/ca-trust/source/anchors"), ".pem", ("update-ca-trust", "extract")),
    Anchors(Path("/etc/ca-certificates/trust-source/anchors"), ".crt", ("trust", "extract-compat")),
    Anchors(Path("/usr/share/pki/trust/anchors"), ".pem", ("update-ca-certificates",)),
)
"""Debian and Ubuntu; Fedora and Red Hat; Arch; SUSE."""

MISSING = {
    "certutil": "the browser's store needs certutil: install libnss3-tools (Fedora: nss-tools, Arch: nss)",
    "sudo": "run this as root: there is no sudo",
}


WORDY = ("certutil", "-user")
"""How the commands of Windows begin."""


class Refused(Exception):
    """Why a command failed, in one line of its own."""


def install(authority: Authority, system: System) -> tuple[Step, ...]:
    """What makes the system and its browsers trust the authority."""
    match system.platform:
        case "linux":
            return (*_install_anchor(authority, system), *_install_databases(authority, system))
        case "windows":
            store = ("certutil", "-user", "-addstore", "Root", str(authority.cer))
            return (Step(store, "trust it in your own certificate store (Edge, Chrome, TradingView Desktop)"),)
        case "macos":
            argv = ("security", "add-trusted-cert", "-r", "trustRoot", "-k", _keychain(system), str(authority.pem))
            return (Step(argv, "trust it in your login keychain (Safari, Chrome, TradingView Desktop)"),)
    assert_never(system.platform)


def remove(authority: Authority, system: System) -> tuple[Step, ...]:
    """What undoes `install`."""
    match system.platform:
        case "linux":
            return (*_remove_anchor(system), *_remove_databases(system))
        case "windows":
            return (Step(("certutil", "-user", "-delstore", "Root", authority.sha1), "take it out of your own store"),)
        case "macos":
            gone = ("security", "delete-certificate", "-Z", authority.sha1, _keychain(system))
            distrust = ("security", "remove-trusted-cert", str(authority.pem))
            return Step(distrust, "trust it no more"), Step(gone, "take it out of your login keychain")
    assert_never(system.platform)


def show(authority: Authority, system: System) -> tuple[Step, ...]:
    """What shows whether the authority is trusted."""
    match system.platform:
        case "linux":
            anchor = _anchor(system)
            listed = (Step(("ls", "-l", str(anchor)), "the system's store"),) if anchor else ()
            return (
                *listed,
                *(Step(("certutil", "-d", _nss(d), "-L", "-n", NICKNAME), str(d)) for d in system.databases),
            )
        case "windows":
            return (Step(("certutil", "-user", "-store", "Root", authority.sha1), "your own certificate store"),)
        case "macos":
            argv = ("security", "find-certificate", "-a", "-Z", "-c", authority.subject, _keychain(system))
            return (Step(argv, "your login keychain"),)
    assert_never(system.platform)


def carry_out(steps: Iterable[Step], run: Callable[[Argv], int]) -> Iterator[tuple[str, bool]]:
    """Run the steps; of each, a line that says what was done or what is wrong, and whether it went well."""
    for step in steps:
        shown = " ".join(step.argv)
        try:
            code = run(step.argv)
        except Refused as why:
            yield f"{step.what}: {shown} failed: {why}", False
        except (FileNotFoundError, PermissionError):  # the latter where a folder of PATH is closed to us
            yield MISSING.get(step.argv[0], f"{step.argv[0]} is not installed") + f" (to {step.what})", False
        else:
            yield f"{step.what}: {shown}" + (f" failed with {code}" if code else ""), code == 0


def execute(argv: Argv) -> int:
    """Run a command in the user's terminal, so that it can ask for a password; its exit code.

    Windows' own asks in a window, and tells at length what it does: of that nothing is shown. Raises Refused with the
    last line of it when it failed.
    """
    if argv[:2] != WORDY:
        return subprocess.run(argv, check=False).returncode
    done = subprocess.run(argv, check=False, capture_output=True)
    if done.returncode:
        lines = (done.stdout + b"\n" + done.stderr).decode(errors="replace").split("\n")
        raise Refused(([line.strip() for line in lines if line.strip()] or [f"exit code {done.returncode}"])[-1])
    return 0


def look(environment: Callable[[str], str | None] = os.environ.get) -> System:
    """What this computer is."""
    home = Path(environment("HOME") or Path.home())
    match sys.platform:
        case "win32":
            return System(platform="windows", home=home)
        case "darwin":
            return System(platform="macos", home=home)
        case _:
            found = next((a for a in ANCHORS if a.directory.is_dir() and shutil.which(a.refresh[0])), None)
            elevate = () if os.geteuid() == 0 else ("sudo",)
            return System(platform="linux", home=home, anchors=found, databases=databases(home), elevate=elevate)


def databases(home: Path) -> tuple[Path, ...]:
    """Chromium's store, made when it is not there yet, and those of all Firefox profiles."""
    roots = (home / ".mozilla/firefox", home / "snap/firefox/common/.mozilla/firefox")
    profiles = (found.parent for root in roots for found in sorted(root.glob("*/cert9.db")))
    return (home / ".pki/nssdb", *profiles)


def authority(confdir: Path) -> Authority:
    """The authority in `confdir`, made when there is none. Raises UserError when it can be neither read nor made."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID
    from mitmproxy.certs import CertStore

    pem = confdir / "mitmproxy-ca-cert.pem"
    try:
        confdir.mkdir(mode=0o700, parents=True, exist_ok=True)
        CertStore.from_store(confdir, "mitmproxy", 2048)
        found = x509.load_pem_x509_certificate(pem.read_bytes())
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"{confdir}: the proxy's authority is kept here; be who runs the proxy: {why}") from error
    subject = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    spki = found.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return Authority(
        pem=pem, cer=confdir / "mitmproxy-ca-cert.cer", subject=str(subject),
        sha1=found.fingerprint(hashes.SHA1()).hex().upper(),  # noqa: S303  Windows and macOS name certificates by it
        sha256=found.fingerprint(hashes.SHA256()).hex().upper(),
        spki=base64.b64encode(hashlib.sha256(spki).digest()).decode(), expires=found.not_valid_after_utc,
    )  # fmt: skip


def _anchor(system: System) -> Path | None:
    return system.anchors.directory / f"{NICKNAME}{system.anchors.suffix}" if system.anchors else None


def _install_anchor(found: Authority, system: System) -> Sequence[Step]:
    if system.anchors is None:
        return ()
    copy = (*system.elevate, "install", "-m", "0644", str(found.pem), str(_anchor(system)))
    return Step(copy, "add it to the system's store"), _refreshed(system.anchors, system)


def _remove_anchor(system: System) -> Sequence[Step]:
    if system.anchors is None:
        return ()
    gone = (*system.elevate, "rm", "-f", str(_anchor(system)))
    return Step(gone, "take it out of the system's store"), _refreshed(system.anchors, system)


def _refreshed(anchors: Anchors, system: System) -> Step:
    return Step((*system.elevate, *anchors.refresh), "make the system read its store again")


def _install_databases(found: Authority, system: System) -> Iterator[Step]:
    for directory in system.databases:
        if not (directory / "cert9.db").exists():
            yield Step(("mkdir", "-p", str(directory)), "make a place for the browser's store")
            yield Step(("certutil", "-d", _nss(directory), "-N", "--empty-password"), "make the browser's store")
        argv = ("certutil", "-d", _nss(directory), "-A", "-t", "C,,", "-n", NICKNAME, "-i", str(found.pem))
        yield Step(argv, "trust it in the browser's store")


def _remove_databases(system: System) -> Iterator[Step]:
    for directory in system.databases:
        yield Step(("certutil", "-d", _nss(directory), "-D", "-n", NICKNAME), "take it out of the browser's store")


def _nss(directory: Path) -> str:
    return f"sql:{directory}"


def _keychain(system: System) -> str:
    return str(system.home / "Library/Keychains/login.keychain-db")
