"""Seeing an empty mapping that Python itself hides."""

from __future__ import annotations

import sys
from typing import Any

from executor.mt5.simulator.callform import empty_mapping

VISIBLE = sys.version_info < (3, 14)


def called(*_args: Any, **_kwargs: Any) -> bool:
    return empty_mapping(1)


def test_a_plain_call_has_no_mapping() -> None:
    assert called() is False
    assert called(1, 2) is False
    assert called(*[1, 2]) is False


def test_an_empty_mapping_is_seen() -> None:
    nothing: dict[str, Any] = {}
    assert called(**nothing) is VISIBLE
    assert called(*[1], **nothing) is VISIBLE
