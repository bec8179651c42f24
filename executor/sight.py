"""Pure: what the sources of an account show at one moment, as far as it can be compared with what was followed."""

from collections.abc import Mapping

from msgspec import Struct

from shared.facts import Fact, OrderFact


class Sight(Struct, frozen=True, kw_only=True):
    """What is held and what rests at the sources, by link key (an order by link key and its id); the newest fact each.

    `followed` are the names of the account's sources. `judged` are those of them of which the account has passed every
    fact: of the others something is on its way, and nothing can be said. Of `whole` ones the picture could be read
    altogether: what it does not show is not there. `blank` ones have never said anything.
    """

    positions: Mapping[str, Fact] = {}
    orders: Mapping[tuple[str, str], OrderFact] = {}
    followed: frozenset[str] = frozenset()
    judged: frozenset[str] = frozenset()
    readable: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()

    @property
    def whole(self) -> frozenset[str]:
        """The sources of which everything is known."""
        return self.judged & self.readable

    def may_judge(self, key: str) -> bool:
        """Whether a link may be compared with its source now. A source that is not followed any more says nothing."""
        return source_of(key) in self.judged or self.is_orphan(key)

    def lacks(self, key: str) -> bool:
        """Whether it is certain that the source does not hold the position of a link."""
        return key not in self.positions and source_of(key) in self.whole

    def lacks_order(self, key: str, order: str) -> bool:
        """Whether it is certain that the order does not rest at the source any more."""
        return (key, order) not in self.orders and source_of(key) in self.whole

    def is_orphan(self, key: str) -> bool:
        """Whether the account does not follow the source of a link any more."""
        return source_of(key) not in self.followed


def source_of(key: str) -> str:
    """The source of a link."""
    return key.partition("/")[0]
