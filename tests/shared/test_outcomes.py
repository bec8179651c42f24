"""An outcome reads back as it was written, and results say whether they had an effect."""

from typing import get_args

import msgspec
import pytest

from shared import outcomes
from tests.shared.samples import OUTCOMES


@pytest.mark.parametrize("message", OUTCOMES, ids=lambda m: type(m).__name__)
def test_reads_back_as_it_was_written(message: outcomes.Message) -> None:
    assert msgspec.json.decode(msgspec.json.encode(message), type=outcomes.Message) == message


def test_what_had_an_effect_is_never_replayed() -> None:
    assert not outcomes.EFFECTIVE & outcomes.REPLAYABLE


def test_every_result_either_had_an_effect_or_may_be_replayed_or_needed_nothing() -> None:
    assert outcomes.EFFECTIVE | outcomes.REPLAYABLE | {"ignored"} == set(get_args(outcomes.Result))
