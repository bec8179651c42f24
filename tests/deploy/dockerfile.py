"""A Dockerfile taken apart: stages and their steps."""

import shlex
from pathlib import Path

from msgspec import Struct


class Step(Struct, frozen=True):
    """An instruction with its text, continued lines joined."""

    word: str
    text: str


class Stage(Struct, frozen=True):
    """`FROM base AS name` and what follows."""

    base: str
    name: str
    steps: list[Step]


def stages(path: Path) -> list[Stage]:
    """The stages in the order of the file."""
    found: list[Stage] = []
    for step in steps(path.read_text()):
        if step.word == "FROM":
            base, _, name = step.text.split()
            found.append(Stage(base, name, []))
        else:
            found[-1].steps.append(step)
    return found


def steps(text: str) -> list[Step]:
    """Comments are gone, continued lines are one."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [Step(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def copied(step: Step) -> tuple[str, list[str], str]:
    """`COPY [--from=STAGE] SOURCE… TARGET`: the stage ("" for the clone), the sources, the target."""
    words = shlex.split(step.text)
    stage = words.pop(0).removeprefix("--from=") if words[0].startswith("--from=") else ""
    return stage, words[:-1], words[-1]
