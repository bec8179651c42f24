"""The independent answer to what an account should hold."""

import pytest

from tests.model import story as stories
from tests.model.story import Story, expected


@pytest.mark.parametrize(
    ("story", "results", "act_on", "held"),
    [
        (stories.OPEN_PART_CLOSE, ["filled", "closed", "closed"], "accept", [0]),
        (stories.OPEN_PART, ["filled", "owed"], "accept", [2]),
        (stories.OPEN_PART, ["rejected", "ignored"], "accept", [0]),
        (stories.REVERSAL, ["filled", "filled"], "accept", [-2]),
        (stories.REVERSAL, ["filled", "closed"], "accept", [0]),
        (stories.TWO_LINKS, ["filled", "filled", "closed"], "accept", [0, 1]),
        (stories.PLACED_FILLED_CLOSED[:2], ["filled", "ignored"], "accept", [2]),
        (stories.PLACED_FILLED_CLOSED[:2], ["ignored", "filled"], "fill", [2]),
        (stories.RETOLD, ["filled", "ignored"], "accept", [2]),
    ],
)
def test_the_account_holds_what_was_filled_in_proportion_to_the_source(
    story: Story, results: list[str], act_on: str, held: list[int]
) -> None:
    assert expected(story, results, act_on) == held
