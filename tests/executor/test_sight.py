"""What the sources show, and what may be concluded from it."""

from executor.sight import Sight, source_of
from tests.executor.mends import sight
from tests.executor.sources import Source, key

HELD = Source().market("o1", "1")[-1]
O1, O2 = key("o1"), key("o2")


def test_the_source_of_a_link_is_the_first_part_of_its_key() -> None:
    assert source_of(O1) == "s"


def test_what_a_whole_picture_does_not_show_is_not_there() -> None:
    shown = sight([HELD])

    assert not shown.lacks(O1)
    assert shown.lacks(O2)
    assert shown.lacks_order(O1, "L")


def test_of_a_picture_that_cannot_be_read_altogether_nothing_is_lacking() -> None:
    shown = sight([HELD], readable=frozenset())

    assert not shown.lacks(O2)
    assert not shown.lacks_order(O2, "L")


def test_a_source_with_facts_on_their_way_is_not_judged() -> None:
    assert sight([HELD]).may_judge(O1)
    assert not sight([HELD], judged=frozenset()).may_judge(O1)


def test_a_link_of_a_source_that_is_not_followed_is_an_orphan_and_can_be_judged() -> None:
    nobody = Sight()

    assert nobody.is_orphan(O1)
    assert nobody.may_judge(O1)
    assert not nobody.lacks(O1), "its source says nothing"
