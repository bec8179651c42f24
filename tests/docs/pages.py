"""The pages that a person reads, taken apart: code blocks, command lines, links."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from tests.processes import ROOT

PAGES = [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"]
FENCE = re.compile(r"(?ms)^```(\w*)\n(.*?)^```$")
LAUNCHED = re.compile(r"(?:python3?|sudo python3) (?:\S*/)?run\.py ([^|>&\n`)]+)")


class Block(Struct, frozen=True):
    """What stands between three backticks: its language and its text."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    return [Block(*found) for found in FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> Iterator[list[str]]:
    """The words behind each `python3 run.py` of a page, in blocks and in sentences, tests left out."""
    for line in LAUNCHED.findall(page.read_text(encoding="utf-8")):
        words = shlex.split(line.split("#")[0])
        if words and words[0] != "test" and "…" not in line and words != ["COMMAND"]:
            yield words


def links(page: Path) -> Iterator[str]:
    """Where a page leads within the clone."""
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", page.read_text(encoding="utf-8"))):
        if "://" not in target:
            yield target


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as they are made for links."""
    headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def clone(folder: Path) -> Path:
    """A clone as a new user has it, with the environment that our launcher has made already."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    for made in (".venv", ".tools"):
        (folder / made).symlink_to(ROOT / made)
    return folder
