from typing import Any

import msgspec
import pytest

from ingest.sheet import Sheet

WAYS: list[tuple[Any, bool]] = [
    (lambda s: s["a"], False),
    (lambda s: s.get("b"), False),
    (lambda s: s.pop("b", None), False),
    (lambda s: s.setdefault("a", 2), False),
    (lambda s: s.pop("a"), True),
    (lambda s: s.setdefault("b", 2), True),
    (lambda s: s.__setitem__("a", 1), True),
    (lambda s: s.__delitem__("a"), True),
]


@pytest.mark.parametrize(("way", "written"), WAYS)
def test_it_knows_whether_it_was_written_on_and_the_original_is_left_alone(way: Any, written: bool) -> None:
    original = {"a": 1}
    sheet = Sheet(original)
    way(sheet)
    assert sheet.written == written
    assert original == {"a": 1}
    assert written or sheet == original


@pytest.mark.parametrize("way", [lambda s: s.update(b=1), lambda s: s.clear(), lambda s: s.popitem()])
def test_there_is_no_way_to_write_unnoticed(way: Any) -> None:
    sheet = Sheet({"a": 1})
    with pytest.raises(TypeError):
        way(sheet)
    with pytest.raises(TypeError):
        sheet |= {"b": 1}


def test_it_is_kept_as_a_dict() -> None:
    assert msgspec.json.encode(Sheet({"a": 1})) == b'{"a":1}'


def test_it_knows_what_was_written_since_a_mark_on_whichever_copy() -> None:
    first = Sheet({"a": 1, "b": 2})
    first["a"] = 3
    mark = object()
    first.marked(mark)
    second = Sheet(first)
    second["b"] = 4
    third = Sheet(second)
    del third["a"]
    assert (third.mark, third.touched, third.written) == (mark, {"a", "b"}, True)
    assert (second.touched, first.touched) == ({"b"}, frozenset())
