"""What an account is not to follow: what was there before it, until the source has closed it."""

import pytest
from msgspec.structs import replace

from executor.joining import Joined, in_shadow, looked, over, read, written
from executor.mirrored import order_name
from executor.sight import Sight
from tests.executor.mends import Market, sight
from tests.executor.sources import key

O1, O2 = key("o1"), key("o2")
LIMIT = order_name(O2, "L")


def market() -> Market:
    """A position of 1 lot and a resting order."""
    there = Market()
    there.told(there.market("o1", "1"))
    there.told(there.rest("o2", "L", "1"))
    return there


def joins(shown: Sight, *, adopting: bool = False, here: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> Joined:
    return looked(Joined(adopting=adopting), shown, here, refused)


def test_what_the_source_holds_when_the_account_joins_is_left_alone() -> None:
    joined = joins(market().sight())

    assert (set(joined.left), set(joined.adopt)) == ({O1, LIMIT}, set())
    assert joined.seen == {"s"}


def test_or_is_to_be_opened_where_the_settings_say_so() -> None:
    joined = joins(market().sight(), adopting=True)

    assert (set(joined.left), set(joined.adopt)) == (set(), {O1, LIMIT})
    assert not joined.adopting, "what comes later is not from before"


def test_what_is_followed_or_was_refused_is_not_from_before() -> None:
    assert joins(market().sight(), here=(O1,), refused=(LIMIT,)).left == frozenset()


def test_what_comes_later_is_to_be_followed() -> None:
    there = market()
    joined = joins(there.sight())
    there.told(there.market("o3", "1"))

    assert looked(joined, there.sight(), (), ()).left == {O1, LIMIT}


@pytest.mark.parametrize("adopts", [True, False])
def test_what_was_there_before_anybody_looked_is_met_once(adopts: bool) -> None:
    there = Market()
    there.told(there.market("o1", "1"))
    joined = joins(there.sight(), here=(O1,))
    there.told(there.held_before("o2", "2"))
    shown = there.sight()
    joined = looked(joined, shown, (O1,), (), adopts=adopts)

    assert (set(joined.left), set(joined.adopt)) == ((set(), {O2}) if adopts else ({O2}, set()))
    given_up = replace(joined, left=frozenset(), adopt=frozenset())
    again = looked(given_up, shown, (O1,), (), adopts=adopts)
    assert (again.left, again.adopt) == (frozenset(), frozenset())


def test_it_ends_with_the_position_at_the_source() -> None:
    there = market()
    joined = joins(there.sight())
    there.told(there.close("o1"))
    there.end("o2", "L")

    assert over(joined, there.sight(readable=frozenset())).left == {O1, LIMIT}, "nothing is known"
    assert over(joined, there.sight()).left == frozenset()


def test_a_source_that_cannot_be_seen_yet_is_waited_for() -> None:
    there = market()
    joined = joins(there.sight(readable=frozenset()), adopting=True)
    assert (joined.seen, joined.adopt, joined.adopting) == (frozenset(), frozenset(), True)

    assert looked(joined, there.sight(), (), ()).adopt == {O1, LIMIT}


def test_a_source_that_has_never_said_anything_holds_nothing_from_before() -> None:
    joined = joins(Sight(followed=frozenset({"s"}), blank=frozenset({"s"})), adopting=True)
    assert joined == Joined(seen=frozenset({"s"}))

    assert looked(joined, market().sight(), (), ()) == joined, "all of it came later"


def test_a_source_that_is_not_followed_any_more_is_forgotten() -> None:
    joined = joins(market().sight())

    assert over(joined, sight(followed=frozenset({"other"}))) == Joined()


def test_what_comes_and_goes_in_shadow_is_never_made_up_for() -> None:
    there = market()
    before = joins(there.sight())
    there.told(there.market("o3", "1"))
    after = looked(before, there.sight(), (), ())

    assert in_shadow(before, after, {key("o3")}).left == {O1, LIMIT, key("o3")}


def test_an_account_that_adopts_begins_when_it_is_live() -> None:
    there = market()
    before = Joined(adopting=True)
    shadowed = in_shadow(before, looked(before, there.sight(), (), ()), {O1})
    assert shadowed == Joined(adopting=True, adopt=frozenset({O1}))

    there.told(there.market("o3", "1"))
    assert looked(shadowed, there.sight(), (), ()).adopt == {O1, LIMIT, key("o3")}


def test_it_is_kept_as_text() -> None:
    joined = joins(market().sight(), adopting=True)

    assert read(written(joined)) == joined
    assert written(joined) == written(read(written(joined)))
    assert read("") == Joined()
