"""The small files beside a server's data: lock, password, port, log. Each is written whole or not at all."""

import itertools
import os
import random
import secrets
import socket
import sys
from collections import deque
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO

from shared.process import UserError
from shared.vault import require_private

HOST = "127.0.0.1"
PORTS = range(20_000, 30_000)
"""Where ports are chosen: below those that a system gives to whoever asks for any port, each connection for instance,
so that a port is still free when its server comes to use it.
"""
HELD = 64
"""So many of the ports that were chosen last are kept from other processes."""
LOG_LIMIT = 10_000_000
"""Bytes; a longer log is set aside as `log.1` at the next start."""


def lock_file(path: Path) -> int | None:
    """Lock the file and return its descriptor, or None while another process, or a child of it, holds the lock.

    The lock belongs to the open file: it ends when the last process that inherited the descriptor has closed it.
    """
    import fcntl  # not on Windows, where this is never called

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def secret(path: Path) -> str:
    """The password in the file, made on first use: 128 random bits, URL-safe.

    Raises UserError when others can read it.
    """
    if not path.exists():
        write_whole(path, secrets.token_urlsafe(16))
    require_private(path, "the password")
    return path.read_text().strip()


def write_whole(path: Path, text: str) -> None:
    """Replace the file at once, with mode 0600 from its first byte on; a file of another user stays that user's."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        _give_to_owner_of(path, file.fileno())
        file.write(f"{text}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _give_to_owner_of(path: Path, descriptor: int) -> None:
    """Root may mend the files of a service, which still has to be able to read them."""
    if hasattr(os, "geteuid") and os.geteuid() == 0 and path.exists():
        found = path.stat()
        os.fchown(descriptor, found.st_uid, found.st_gid)


def choose_port(memory: Path, pinned: int | None, title: str) -> int:
    """The pinned port, else the remembered one while it is free, else a free one, which is then remembered."""
    if pinned is not None:
        if not is_free(pinned):
            raise UserError(f"{title} cannot listen on {HOST}:{pinned}: the port is in use; free it or choose another")
        return pinned
    remembered = memory.read_text().strip() if memory.exists() else ""
    if remembered.isdecimal() and 0 < int(remembered) < 65536 and is_free(int(remembered)):
        return int(remembered)
    port = free_port()
    write_whole(memory, str(port))
    return port


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now; old connections in TIME_WAIT do not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that is free now, and that was given neither to this process before nor to another one that runs.

    Raises UserError when all of PORTS are taken.
    """
    for port in itertools.islice(_candidates(), len(PORTS)):
        if _hold(port):
            return port
    raise UserError(f"no port from {PORTS[0]} to {PORTS[-1]} is free on {HOST}; end what listens there")


def _hold(port: int) -> bool:
    """Keep a port from others who look for one; whether it was free. A server can listen on it all the same.

    Linux lets one socket listen on a port that another one only has, if both say that they share it. Who looks for a
    port says so when he has it, and no sooner: so he gets none that somebody has.
    """
    with socket.socket() as ours:
        try:
            ours.bind((HOST, port))
        except OSError:
            return False
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            _held().append(ours.detach())
    if len(_held()) > HELD:
        os.close(_held().popleft())
    return True


@cache
def _held() -> deque[int]:
    """The descriptors of the ports that we keep, the newest last. They end with the process."""
    return deque()


@cache
def _candidates() -> Iterator[int]:
    """All of PORTS, over and over, in an order of our own: two processes hardly ever ask for the same."""
    return itertools.cycle(random.SystemRandom().sample(PORTS, len(PORTS)))


def log_file(path: Path) -> BinaryIO:
    """Open a server's log for appending, readable by us alone; a long one is set aside first."""
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_name("log.1"))
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def sync_folder(path: Path) -> None:
    """Make the names in a directory as durable as the files behind them."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
