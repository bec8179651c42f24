"""The narrowest way in: a browser with a profile of its own that alone goes through the proxy and trusts it.

Nothing is installed on the computer and no other program is touched. The profile trusts exactly one key, the
authority's, pinned by its hash; deleting its directory undoes everything.
"""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from shared.process import UserError

Kind = Literal["chromium", "chrome", "edge"]
KINDS: tuple[Kind, ...] = ("chromium", "chrome", "edge")

HOME_PAGE = "https://www.tradingview.com/chart/"

NAMES: dict[Kind, tuple[str, ...]] = {
    "chromium": ("chromium", "chromium-browser"),
    "chrome": ("google-chrome", "google-chrome-stable", "chrome"),
    "edge": ("microsoft-edge", "microsoft-edge-stable", "msedge"),
}
"""What each is called where programs are found by name."""

PLACES: dict[Kind, tuple[str, ...]] = {
    "chromium": ("/Applications/Chromium.app/Contents/MacOS/Chromium", r"Chromium\Application\chrome.exe"),
    "chrome": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", r"Google\Chrome\Application\chrome.exe",
    ),
    "edge": (
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge", r"Microsoft\Edge\Application\msedge.exe",
    ),
}  # fmt: skip
"""Where each is on macOS, and on Windows below one of the program folders."""

FOLDERS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")


def command(
    program: str, profile: Path, proxy: str, spki: str, page: str = HOME_PAGE, more: Sequence[str] = ()
) -> tuple[str, ...]:
    """What starts the browser; `spki` is the hash of the authority's key, `more` what else it is told."""
    return (
        program,
        f"--user-data-dir={profile}",
        f"--proxy-server=http://{proxy}",
        f"--ignore-certificate-errors-spki-list={spki}",
        "--no-first-run",
        "--no-default-browser-check",
        *more,
        page,
    )


def find(
    kinds: Sequence[Kind],
    environment: Callable[[str], str | None] = os.environ.get,
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """The first of these browsers that this computer has. Raises UserError when it has none."""
    for kind in kinds:
        for name in (*NAMES[kind], *_places(kind, environment)):
            if found := which(name):
                return found
    raise UserError(f"none of {', '.join(kinds)} is here: install one, or name it with --program")


def start(argv: Sequence[str]) -> None:
    """Become the browser; on Windows, where a process cannot become another, start it and end."""
    if sys.platform == "win32":
        import subprocess

        subprocess.Popen(argv)
    else:
        os.execvp(argv[0], list(argv))


def _places(kind: Kind, environment: Callable[[str], str | None]) -> list[str]:
    whole, below = PLACES[kind]
    folders = [folder for name in FOLDERS if (folder := environment(name))]
    return [whole, *(f"{folder}\\{below}" for folder in folders)]
