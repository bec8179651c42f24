"""What a key may be is told in words, and a type without words is noticed."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta

from deploy.settingtypes import described
from shared.settings import Secret


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (str | None, "text"),
        (Secret, "text, secret"),
        (Path, "path"),
        (bool, "`true`, `false`"),
        (Literal["a", "b"] | None, '`"a"`, `"b"`'),
        (Annotated[int, Meta(ge=1, le=10_000)], "whole number at least 1, at most 10000"),
        (Annotated[float, Meta(gt=0)], "number above 0"),
        (tuple[str, ...], "list of: text"),
        (frozenset[Literal["buy"]], 'list of: `"buy"`'),
        (Mapping[str, Decimal], "table of: number"),
    ],
)
def test_a_type_in_words(kind: Any, words: str) -> None:
    assert described(kind) == words


def test_a_type_without_words_is_noticed() -> None:
    with pytest.raises(TypeError, match="no words"):
        described(complex)
