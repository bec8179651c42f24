"""What was held before anybody looked is stated, and nobody takes it for news."""

import pytest

from tests.ingest.story import NETTING, Story, order, position


@pytest.mark.parametrize(
    ("side", "shown", "told"),
    [
        ("buy", 4, [(4, 4, True)]),
        ("buy", 1, [(1, 1, True)]),
        ("buy", 0, [(1, 0, False)]),
        ("buy", -2, [(1, 0, False), (-2, -2, True)]),
        ("sell", 5, [(-1, 0, False), (5, 5, True)]),
    ],
)
def test_on_a_netting_account_what_was_held_before_our_first_order_is_told_when_the_polls_show_it(
    side: str, shown: int, told: list[tuple[int, int, bool]]
) -> None:
    """Else who follows would take it for something that was opened meanwhile, and open it."""
    story = Story(NETTING)
    story.orders()
    story.place("1", qty="1", side=side)
    story.orders(order("1", "filled", qty=1, side=side))
    story.positions(*([position("n", abs(shown), "buy" if shown > 0 else "sell")] if shown else []))
    assert story.kinds()[:2] == ["order.placed", "order.filled"]
    rest = [f.exposure for f in story.facts[2:]]
    assert [(int(e.before.total), int(e.after.total), e.anew) for e in rest] == told
    assert int(story.picture.positions["EURUSD"].held) == shown


def test_a_hedging_position_that_was_there_is_stated_as_unchanged() -> None:
    story = Story()
    story.orders()
    story.positions(position("66", 0.3))
    (fact,) = story.facts
    assert (fact.exposure.before, fact.exposure.revision, fact.exposure.anew) == (fact.exposure.after, 1, False)
