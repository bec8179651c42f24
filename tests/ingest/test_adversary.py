"""Seeded adversaries: polls and frames in any order, doubled and dropped, replies cut, the proxy killed amid it all.

Each seed is one story. Looked for: facts of what never was, wrong totals, lost facts, positions that open again.
"""

import random
from pathlib import Path

import pytest

from ingest.source import Source
from tests.ingest.mortal import Mortal
from tests.ingest.paperworld import PaperWorld
from tests.ingest.story import BROKER, NETTING, PAPER, Story
from tests.ingest.world import World

STEPS = 60
FOUND = (122, 140, 302, 468, 845, 1469, 1627, 3129)
"""Seeds that once found something."""


class Killed(World):
    """The same broker and trader; the copier dies before a request, before its reply, after it, or between."""

    story: Mortal

    def __init__(self, source: Source, path: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        super().__init__(source, Mortal(source, path))

    def call(
        self, method: str, path: str, form: dict[str, object], answer: object = None, *, lost: bool = False
    ) -> None:
        moment = self.chance.choice(("before", "between", "after", *["never"] * 12))
        if moment == "never" or (self.netting and moment != "after"):
            super().call(method, path, form, answer, lost=lost)
            return
        if moment == "after":
            super().call(method, path, form, answer, lost=lost)
        else:
            self.unseen(method, path, form, asked=moment == "between")
        self.die()

    def die(self) -> None:
        """What was not told yet has to be shown again: doubts are not on disk."""
        self.story.die()
        if self.unsettled:
            self.shake()

    def unseen(self, method: str, path: str, form: dict[str, object], *, asked: bool) -> None:
        """The broker carries out what nobody hears the reply of."""
        self.lost_replies += 1
        self.shake()
        self.story.wait(0.4)
        url = f"/accounts/{self.story.account}{path}?locale=en"
        if asked:
            self.story.hear(self.story.exchange(method, url, form, None, status=None, left=0))
        self.story.wait(0.2)

    def poll(self, n: int, kind: str, fate: str = "good") -> None:
        if self.chance.random() < 0.02:
            self.die()
        super().poll(n, kind, fate)


def play(source: Source, path: Path, seed: int) -> None:
    world = Killed(source, path, seed)
    try:
        for _ in range(STEPS):
            world.step(world.chance.randrange(100_000))
        world.rest()
        world.check_facts()
        world.check_end()
    finally:
        world.story.end()


@pytest.mark.parametrize("source", [BROKER, NETTING], ids=["hedging", "netting"])
@pytest.mark.parametrize("seed", [*range(25), *FOUND])
def test_a_copier_that_is_killed_again_and_again_tells_the_truth(source: Source, seed: int, tmp_path: Path) -> None:
    play(source, tmp_path, seed)


def play_paper(story: Story, seed: int) -> None:
    world = PaperWorld(story, seed)
    for _ in range(STEPS // 2):
        world.step()
        if isinstance(story, Mortal) and world.chance.random() < 0.2:
            story.die()
    world.check()


@pytest.mark.parametrize("seed", [*range(25), *FOUND])
def test_paper_trading_whose_frames_are_shuffled_doubled_and_lost_ends_at_the_truth(seed: int, tmp_path: Path) -> None:
    story = Mortal(PAPER, tmp_path, "1234567")
    play_paper(story, seed)
    story.end()
