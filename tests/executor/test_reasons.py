"""The reasons and their texts."""

import pytest

from executor.reasons import TEXTS, Denied, Ignored, Obstacle, Reason, say


def test_every_reason_has_a_text_and_every_text_a_reason() -> None:
    assert set(TEXTS) == {*Reason, *Ignored, *Obstacle}


def test_no_two_kinds_of_reason_share_a_code_but_by_meaning() -> None:
    codes = [str(r) for group in (Reason, Ignored, Obstacle) for r in group]
    assert len(codes) == len(set(codes))


def test_a_text_names_its_facts() -> None:
    assert Denied(Reason.TOO_OLD, {"age": "12", "limit": "10"}).text.startswith("the order is 12 s old")


@pytest.mark.parametrize("reason", [*Reason, *Ignored, *Obstacle])
def test_a_missing_fact_never_breaks_a_text(reason: Reason | Ignored | Obstacle) -> None:
    assert say(reason)
