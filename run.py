#!/usr/bin/env python3
"""Runs TradeCopier from this clone: `python3 run.py COMMAND …` is `tradecopier COMMAND …`, and `test` runs the
tests.

The first run makes an environment of its own in `.venv` from the hash-locked list beside this file; later runs find
its stamp and start at once. A machine that only runs `executor` gets a shorter list: no proxy, no database, no server,
which is what Windows needs beside MetaTrader 5. Nothing outside this folder is touched, no rights are needed, nothing
is installed into the system. Standard library only; the syntax is kept to what an old Python can read, so that it can
say that it is too old.
"""

import collections.abc
import contextlib
import errno
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
SUCCESSORS = ("python3.13", "python3.12", "python3.11", "python3.14")
"""Where a Python that is new enough may be, the best tested first."""
WHOLE = ["--numprocesses=6", "--dist=loadfile", "--no-loadscope-reorder"]
"""How the whole suite is run: six files at a time, since most of it is waiting for servers, graces and browsers; in the
order of tests/conftest.py, what takes longest first."""
HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
TOOLS = os.path.join(HERE, ".tools")
ON_WINDOWS = os.name == "nt"
VENV_PYTHON = os.path.join(VENV, "Scripts", "python.exe") if ON_WINDOWS else os.path.join(VENV, "bin", "python")
UNFINISHED = os.path.join(VENV, "unfinished")
"""There while packages are being installed; what an interrupted run left is not trusted."""
WITH_VALUE = ("--config", "--log-level", "--log-form")
"""Options of `tradecopier` itself that are followed by a value."""
FROM_PIP = {"PIP_INDEX_URL": "UV_DEFAULT_INDEX", "PIP_FIND_LINKS": "UV_FIND_LINKS", "PIP_CERT": "SSL_CERT_FILE"}
"""uv reads none of pip's settings; who needs these for pip needs them for uv."""


class Failed(Exception):
    """A step did not work; the text says why."""


def main(arguments: "list[str]") -> int:
    """Prepare the environment if need be, then become the command; returns only where a process cannot be replaced."""
    if sys.version_info < OLDEST:
        return hand_over_to_newer(arguments)
    testing = arguments[:1] == ["test"]
    try:
        prepare(*locks(arguments))
    except Failed as problem:
        return complain(str(problem))
    except OSError as problem:
        return complain("cannot prepare {}: {}".format(problem.filename or VENV, problem.strerror))
    except KeyboardInterrupt:
        return 130
    if testing:
        os.chdir(HERE)
    module = ["pytest"] + (arguments[1:] or WHOLE) if testing else ["deploy"] + arguments
    settings = environment()
    if testing:
        settings.pop("PYTHONDONTWRITEBYTECODE", None)  # thousands of processes start, and each would compile us anew
    return become([VENV_PYTHON, "-m"] + module, settings)


def locks(arguments: "list[str]") -> "list[str]":
    """The lists that hold what the command needs, the smallest first."""
    if arguments[:1] == ["test"]:
        return ["requirements-dev.lock"]
    if command_word(arguments) == "executor":
        return ["requirements-executor.lock", "requirements.lock", "requirements-dev.lock"]
    return ["requirements.lock", "requirements-dev.lock"]


def command_word(arguments: "list[str]") -> str:
    """The first word that is neither an option nor an option's value."""
    left = list(arguments)
    while left:
        word = left.pop(0)
        if not word.startswith("-"):
            return word
        if word in WITH_VALUE and left:
            left.pop(0)
    return ""


def hand_over_to_newer(arguments: "list[str]") -> int:
    """Start over with a newer Python; each that is found is tried, since version managers leave mere signposts."""
    ours = platform.python_version()
    for name in SUCCESSORS:
        path = shutil.which(name)
        if path and attempt([path, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]):
            say("Python {} is too old, going on with {}".format(ours, path))
            return become([path, os.path.abspath(__file__)] + arguments, dict(os.environ))
    return complain("Python 3.11 or newer is needed, this is {} and no newer one was found; install one".format(ours))


def environment() -> "dict[str, str]":
    """Ours, with the clone as the only place besides .venv that modules come from; the working directory is not one."""
    settings = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONSTARTUP")}
    settings.update(PYTHONPATH=HERE, PYTHONSAFEPATH="1")
    return settings


def become(command: "list[str]", settings: "dict[str, str]") -> int:
    """Replace this process by the command; on Windows, where that cannot be done, wait for it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a caller may have closed it
            stream.flush()
    if not ON_WINDOWS:
        os.execve(command[0], command, settings)
    with subprocess.Popen(command, env=settings) as process:
        while True:
            # Ctrl-C reaches the command too; how to end is its decision.
            with contextlib.suppress(KeyboardInterrupt):
                return process.wait()


def prepare(lock: str, *larger: str) -> None:
    """Make .venv hold what the lock lists. Nothing to do when a stamp says so, its own or that of a larger lock;
    two runs at once take turns.
    """
    if any(map(is_stamped, (lock,) + larger)):
        return
    os.makedirs(TOOLS, exist_ok=True)
    with turn(os.path.join(TOOLS, "lock")):
        if not any(map(is_stamped, (lock,) + larger)):
            build(lock)


def is_stamped(lock: str) -> bool:
    """Whether .venv was made from this very lock and its Python is still there."""
    try:
        with open(stamp(lock)) as file:
            return file.read() == digest(lock) and os.path.exists(VENV_PYTHON) and not os.path.exists(UNFINISHED)
    except OSError:
        return False


def stamp(lock: str) -> str:
    """The file that says from which state of the lock .venv was made."""
    return os.path.join(VENV, lock + ".stamp")


def digest(lock: str) -> str:
    """The fingerprint of the lock as it is now."""
    with open(os.path.join(HERE, lock), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@contextlib.contextmanager
def turn(path: str) -> "collections.abc.Iterator[None]":
    """Hold a lock file; waits, and says so, while another run holds it. It is let go even if we are killed."""
    with open(path, "a+b") as file:
        waiting = False
        while not lock_now(file.fileno()):
            if not waiting:
                say("another run is preparing .venv, waiting for it")
            waiting = True
            time.sleep(0.2)
        yield


def lock_now(descriptor: int) -> bool:
    """Take the lock if it is free."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        if problem.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            raise
        return False
    return True


def build(lock: str) -> None:
    """Make .venv and install the lock into it: with uv where it can be had, with pip otherwise."""
    started = time.monotonic()
    say("preparing .venv with Python {} (once; needs the network)".format(platform.python_version()))
    if os.path.exists(UNFINISHED) or not attempt(
        [VENV_PYTHON, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    ):
        shutil.rmtree(VENV, ignore_errors=True)
    uv = find_uv()
    if uv is None or not build_with_uv(uv, lock):
        say("uv cannot be used here, going on with pip, which takes longer")
        build_with_pip(lock)
    with open(stamp(lock), "w") as file:
        file.write(digest(lock))
    os.unlink(UNFINISHED)
    say("ready after {:.0f} s".format(time.monotonic() - started))


def find_uv() -> "str | None":
    """uv from .tools, fetched with pip on first use; without pip, the copy that the user may have."""
    place = os.path.join(TOOLS, "uv")
    uv = os.path.join(place, "bin", "uv.exe" if ON_WINDOWS else "uv")
    if attempt([uv, "--version"]):
        return uv
    say("fetching uv, which installs the rest")
    shutil.rmtree(place, ignore_errors=True)
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "--target", place]
    if attempt([sys.executable, "-m", "pip", "install"] + options + ["-r", os.path.join(HERE, "requirements-uv.lock")]):
        return uv
    return shutil.which("uv")


def build_with_uv(uv: str, lock: str) -> bool:
    """Whether it worked; what uv said about a failure has been shown."""
    settings = dict(os.environ, UV_PYTHON_DOWNLOADS="never", UV_NO_CONFIG="1")
    settings.setdefault("UV_SYSTEM_CERTS", "1")
    for pips, uvs in FROM_PIP.items():
        if pips in os.environ:
            settings.setdefault(uvs, os.environ[pips])
    home = os.path.expanduser("~")
    if not (os.path.isdir(home) and os.access(home, os.W_OK)):
        settings.setdefault("UV_NO_CACHE", "1")
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    if not os.path.exists(VENV_PYTHON) and not attempt(
        [uv, "venv", "--quiet", "--python", sys.executable, VENV], settings, show=True
    ):
        return False
    mark_unfinished()
    say("installing the packages of {}, each checked against its hash".format(lock))
    install = [
        uv,
        "pip",
        "install",
        *quiet,
        "--python",
        VENV_PYTHON,
        "--require-hashes",
        "-r",
        os.path.join(HERE, lock),
    ]
    return attempt(install, settings, show=True)


def build_with_pip(lock: str) -> None:
    """The same with what comes with Python."""
    pip = find_pip()
    mark_unfinished()
    say("installing the packages of {}, each checked against its hash".format(lock))
    options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps"]
    if not attempt(pip + ["install"] + options + ["-r", os.path.join(HERE, lock)], show=True):
        raise Failed("the packages could not be installed, see above; with the network back, run this again")


def find_pip() -> "list[str]":
    """The pip in .venv, making both; where Debian's python3-venv and so ensurepip is missing, the pip outside."""
    inside, outside = [VENV_PYTHON, "-m", "pip"], [sys.executable, "-m", "pip"]
    if attempt(inside + ["--version"]):
        return inside
    shutil.rmtree(VENV, ignore_errors=True)
    if attempt([sys.executable, "-m", "venv", VENV]):
        return inside
    shutil.rmtree(VENV, ignore_errors=True)
    if not attempt([sys.executable, "-m", "venv", "--without-pip", VENV]):
        raise Failed("this Python cannot make an environment; install its venv module (Debian: python3-venv)")
    if not attempt(outside + ["--version"]):
        raise Failed("this Python has no pip; install it (Debian: python3-pip)")
    return outside + ["--python", VENV_PYTHON]


def mark_unfinished() -> None:
    """From here on .venv is not to be trusted until all is installed."""
    with open(UNFINISHED, "w"):
        pass


def attempt(command: "list[str]", settings: "dict[str, str] | None" = None, show: bool = False) -> bool:
    """Run a command without input; whether it ended well. `show` lets its output through, to standard error."""
    output = sys.stderr if show else subprocess.DEVNULL
    try:
        return subprocess.call(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=settings) == 0
    except OSError:
        return False


def say(text: str) -> None:
    """Tell what is going on; on standard error, since standard output belongs to the command."""
    print("run.py: " + text, file=sys.stderr, flush=True)


def complain(text: str) -> int:
    """Tell what is wrong; the exit code."""
    say(text)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
