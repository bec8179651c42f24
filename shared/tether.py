"""Ties a child process to its parent's life; run as a program, in a fresh interpreter, between fork and exec.

Linux can send a process a signal when its parent dies, but the request has to be made by the child itself, after its
last change of credentials, and a change of user namespace is one. Doing this in a hook between fork and exec would
run Python in a copy of a threaded process, where it can hang; so `shared.process` starts this program, which prepares
itself and then becomes the wanted command: same pid, same files, nothing of this interpreter left.

    python -I -S tether.py PARENT SIGNAL IDENTITY COMMAND …

IDENTITY is `same`, `namespace` (leave the user namespace, see `deploy.embedded`) or `UID:GID`. Standard library only.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000

NAMESPACE_REFUSED = 111
"""Exit code: the kernel (or a container's system call filter) refuses a new user namespace."""
COMMAND_NOT_RUN = 127
"""Exit code, as in a shell: the command is missing or cannot be executed."""


def main(arguments: list[str]) -> None:
    """Become the command; returns never. Exits quietly when the parent has died before we could ask to be told."""
    parent, death_signal, identity, *command = arguments
    os.setsid()
    take_identity(identity)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != int(parent):
        sys.exit(0)
    become(command)


def take_identity(identity: str) -> None:
    """Change who we are, before anything that such a change would undo."""
    if identity == "namespace":
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER) != 0:
            sys.exit(NAMESPACE_REFUSED)
    elif identity != "same":
        uid, gid = map(int, identity.split(":"))
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)


def become(command: list[str]) -> None:
    """Replace this process; the environment and the open files stay."""
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(COMMAND_NOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
