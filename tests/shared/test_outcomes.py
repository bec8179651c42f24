"""An outcome reads back as it was written, and results say whether they had an effect."""

from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import outcomes
from tests.shared.samples import OUTCOMES


@pytest.mark.parametrize("message", OUTCOMES, ids=lambda m: type(m).__name__)
def test_reads_back_as_it_was_written(message: outcomes.Message) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=outcomes.Message) == message


@given(st.sets(st.tuples(st.sampled_from("ab"), st.integers(1, 12))))
def test_facts_are_told_in_as_few_spans_as_there_can_be(facts: set[tuple[str, int]]) -> None:
    found = outcomes.spans(facts)
    assert {(each.producer, seq) for each in found for seq in range(each.first, each.last + 1)} == facts
    assert len(found) == sum((producer, seq - 1) not in facts for producer, seq in facts)


def test_what_had_an_effect_is_never_replayed() -> None:
    assert not outcomes.EFFECTIVE & outcomes.REPLAYABLE


def test_every_result_either_had_an_effect_or_may_be_replayed_or_needed_nothing() -> None:
    assert outcomes.EFFECTIVE | outcomes.REPLAYABLE | {"ignored"} == set(get_args(outcomes.Result))
