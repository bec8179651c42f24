"""How root runs a server that refuses to be root, without creating a user and without opening a directory to others.

First choice: the server's process leaves our user namespace. Inside the new one it is `nobody`, while its files stay
ours. Where the kernel or a container forbids that, it really becomes `nobody`, which takes a directory that `nobody`
can reach.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Literal

from shared.process import Identity, UserError, spawn
from shared.tether import NAMESPACE_REFUSED

Method = Literal["namespace", "nobody"]


def identity(data: Path, method: Method | None = None) -> Identity:
    """Who the server has to be: we, unless we are root; then the owner of data that exists, else by `method`."""
    if os.geteuid() != 0:
        return "same"
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return owner.st_uid, owner.st_gid
    if method is None:
        method = "namespace" if namespaces_allowed() else "nobody"
    return "namespace" if method == "namespace" else nobody()


def namespaces_allowed() -> bool:
    """Whether a process of ours can leave the user namespace: tried, since no setting tells for sure."""
    attempt = spawn(["true"], identity="namespace", stderr=subprocess.DEVNULL, on_parent_death=signal.SIGKILL)
    return attempt.wait() != NAMESPACE_REFUSED


def nobody() -> tuple[int, int]:
    """The user and group without rights; both exist on every system, the group under one of two names."""
    import pwd  # not on Windows, where there is no root either

    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid


def hand_over(directory: Path, binaries: Path, who: Identity) -> Path:
    """Let `who` use the directory and the binaries; returns where the binaries are for them."""
    if isinstance(who, str):
        return binaries
    if blocked := closed_parent(directory):
        raise UserError(
            f"PostgreSQL does not run as root, and another user cannot reach {directory} because {blocked} is closed "
            "to others; run as an ordinary user, or choose a directory elsewhere"
        )
    for path in (directory, *directory.rglob("*")):
        give(path, who)
    return binaries if closed_parent(binaries) is None else copied(binaries.parent, directory / "programs", who) / "bin"


def closed_parent(path: Path) -> Path | None:
    """The outermost parent directory that others may not pass."""
    return next((parent for parent in reversed(path.parents) if not parent.stat().st_mode & 0o001), None)


def copied(installation: Path, place: Path, who: Identity) -> Path:
    """A copy of the server's programs that others can reach, made once; returns where the installation is in it.

    The programs find the libraries that came in the same wheel by where these are beside the package.
    """
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not place.exists():
        partial = place.with_name(f"{place.name}.new")
        remove(partial)
        shutil.copytree(installation, partial / package.name / installation.name, symlinks=True)
        if libraries.is_dir():
            shutil.copytree(libraries, partial / libraries.name, symlinks=True)
        for path in (partial, *partial.rglob("*")):
            give(path, who)
        partial.rename(place)
    return place / package.name / installation.name


def give(path: Path, who: Identity) -> None:
    """Make the file theirs; nothing to do when they are we."""
    if not isinstance(who, str):
        os.chown(path, *who, follow_symlinks=False)


def remove(directory: Path) -> None:
    """Delete a directory that may not be there."""
    if directory.exists():
        shutil.rmtree(directory)
