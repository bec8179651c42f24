"""Tables and their changes."""

from __future__ import annotations

import msgspec

from executor.mt5.simulator.market import catalogue
from executor.mt5.simulator.store import Account, Change, Store
from tests.executor.mt5.engines import D, deal, engine, send


def test_nothing_done_is_no_change() -> None:
    account = engine()
    assert account.store.take_change() is None
    account.store.remove("positions", 5)
    assert account.store.take_change() is None


def test_a_change_has_what_was_put_and_what_was_removed() -> None:
    account = engine()
    ticket = send(account, deal()).order
    opened = account.store.take_change()
    assert opened is not None
    assert list(opened.positions) == [ticket]
    send(account, deal(1, position=ticket))
    closed = account.store.take_change()
    assert closed is not None
    assert closed.positions == {ticket: None}
    assert len(closed.deals) == 1


def test_repeated_changes_make_the_same_tables() -> None:
    account = engine()
    copy = Store(Account(login=5, server="?"), catalogue())
    copy.apply(account.store.whole())
    for ask in (deal(), deal(1), deal(0, "0.3", sl=D("1.05"))):
        send(account, ask)
        change = account.store.take_change()
        copy.apply(msgspec.msgpack.decode(msgspec.msgpack.encode(change), type=Change))
    assert copy.whole() == account.store.whole()


def test_tickets_are_never_given_out_twice() -> None:
    store = engine().store
    numbers = [store.next_number("order") for _ in range(5)]
    assert numbers == sorted(set(numbers))
    assert store.next_number("deal") not in numbers
