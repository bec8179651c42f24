"""The account on disk, cut off anywhere."""

from __future__ import annotations

from pathlib import Path

from executor.mt5.simulator.journal import FILE, Journal
from executor.mt5.simulator.market import catalogue
from executor.mt5.simulator.store import Account, Store
from tests.executor.mt5.engines import deal, engine, send


def empty() -> Store:
    return Store(Account(login=1, server="Demo"), catalogue())


def reopened(folder: Path) -> tuple[bool, Store]:
    store, journal = empty(), Journal(folder)
    existed = journal.open(store)
    journal.close()
    return existed, store


def traded(folder: Path, orders: int) -> Store:
    account, journal = engine(), Journal(folder)
    journal.open(account.store)
    for _ in range(orders):
        send(account, deal())
        journal.write(account.store)
    journal.close()
    return account.store


def test_a_new_folder_is_empty_and_an_old_one_is_repeated(tmp_path: Path) -> None:
    assert reopened(tmp_path)[0] is False
    (tmp_path / FILE).unlink()
    store = traded(tmp_path, 3)
    existed, again = reopened(tmp_path)
    assert existed
    assert again.whole() == store.whole()


def test_a_torn_tail_is_cut_off_and_what_was_whole_is_kept(tmp_path: Path) -> None:
    traded(tmp_path, 3)
    whole = (tmp_path / FILE).read_bytes()
    seen = set()
    for end in range(len(whole) - 600, len(whole), 7):
        (tmp_path / FILE).write_bytes(whole[:end])
        _, store = reopened(tmp_path)
        assert len(store.deals) == len(store.positions) == len(store.history)
        seen.add(len(store.deals))
    assert seen <= {1, 2}
    assert 2 in seen


def test_opening_makes_the_file_compact_and_more_can_follow(tmp_path: Path) -> None:
    traded(tmp_path, 5)
    for _ in range(2):
        reopened(tmp_path)
    size = (tmp_path / FILE).stat().st_size
    reopened(tmp_path)
    assert (tmp_path / FILE).stat().st_size == size
    assert not list(tmp_path.glob("*.new"))
