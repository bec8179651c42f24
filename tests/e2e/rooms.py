"""A room for a container engine: mounts, processes and a network of its own, with slirp4netns as the way out. What is
in it ends with the room, and the room with the test, however that ends.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.process import end, spawn
from tests.deploy.imaging import tool
from tests.processes import wait_until_gone

CLONE_NEWNET = 0x40000000
NAMES = "10.0.2.3"
"""Where slirp4netns answers questions about names."""
HERE = """
mount --bind {folder}/resolv.conf /etc/resolv.conf
for kept in /run/containers /run/libpod /run/netns /run/runc /dev/shm; do
    mkdir -p $kept
    mount -t tmpfs tmpfs $kept
done
"""
"""An engine believes what it reads there of servers and locks, which may be another's."""
ELSEWHERE = """
mount --bind {root} {root}
mkdir -p {root}{folder} {root}/.outside
mount --bind {folder} {root}{folder}
mount -t proc proc {root}/proc
mount -t sysfs sysfs {root}/sys
mount --rbind /sys/fs/cgroup {root}/sys/fs/cgroup
mount --rbind /dev {root}/dev
mount -t tmpfs tmpfs {root}/run
cp {folder}/resolv.conf {root}/etc/resolv.conf
cd {root}
pivot_root . .outside
umount -l /.outside
"""
STAY = """
echo ready
while sleep 3600; do :; done
"""
"""A shell is the first process of the room, and buries those whose parents are gone."""


class Room:
    """Open while it lives; `root` is another root directory for it, in which `folder` has the same name."""

    def __init__(self, folder: Path, root: Path | None = None) -> None:
        out, unshare = tool("slirp4netns", "slirp4netns"), tool("unshare", "util-linux")
        self._groups = _groups()
        (folder / "resolv.conf").write_text(f"nameserver {NAMES}\n")
        script = (ELSEWHERE if root else HERE).format(folder=folder, root=root)
        own = ["--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
        command = [unshare, *own, "sh", "-euc", script + STAY]
        self._held = spawn(command, on_parent_death=signal.SIGKILL, stdout=subprocess.PIPE)
        self._out: subprocess.Popen[bytes] | None = None
        self.pid = 0
        try:
            assert self._held.stdout
            assert self._held.stdout.readline() == b"ready\n"
            (child,) = Path(f"/proc/{self._held.pid}/task/{self._held.pid}/children").read_text().split()
            self.pid = int(child)
            self._out = _way_out(out, self.pid)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End all that is in it."""
        if self._out is not None:
            end(self._out, [signal.SIGTERM])
        end(self._held, [])
        if self._held.stdout:
            self._held.stdout.close()
        if self.pid:
            wait_until_gone(self.pid)
        for left in sorted(_groups() - self._groups, reverse=True):
            with suppress(OSError):  # another engine's, which uses it
                left.rmdir()

    def entered(self, *command: str) -> list[str]:
        """The command, run in the room."""
        spaces = ["--net", "--mount", "--pid", "--root", "--wd"]
        return ["nsenter", "--target", str(self.pid), *spaces, *command]

    @contextmanager
    def network(self) -> Iterator[None]:
        """This thread's new sockets are of the room's network, as long as the context is open."""
        with Path("/proc/thread-self/ns/net").open("rb") as ours, Path(f"/proc/{self.pid}/ns/net").open("rb") as other:
            _move(other.fileno())
            try:
                yield
            finally:
                _move(ours.fileno())


def _groups() -> set[Path]:
    """The control groups that engines have made."""
    tops = [top for name in ("docker", "libpod_parent") for top in Path("/sys/fs/cgroup").glob(f"**/{name}")]
    return {folder for top in tops for folder in (top, *(each for each in top.rglob("*") if each.is_dir()))}


def _way_out(program: str, pid: int) -> subprocess.Popen[bytes]:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as ready:
        command = [program, "--configure", "--disable-host-loopback", f"--ready-fd={writing}", str(pid), "tap0"]
        silent = subprocess.DEVNULL
        started = spawn(command, on_parent_death=signal.SIGKILL, pass_fds=[writing], stdout=silent, stderr=silent)
        os.close(writing)
        assert ready.read(1) == b"1", "slirp4netns found no way"
    return started


def _move(space: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(space, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
