"""The trades of the benches are what real ones are: sound facts, the same every time, numbers without gaps."""

from datetime import UTC, datetime, timedelta

import msgspec

from archiver.tables import FactRow, ObservationRow, OutcomeRow
from deploy.bench.trades import trades
from shared import facts, outcomes
from tests.archiver.entries import judged

START = datetime(2026, 3, 2, tzinfo=UTC)


def made(count: int) -> list[facts.Fact | outcomes.Message]:
    return [m for t in trades(1, count, START, timedelta(seconds=1), "p") for m in (*t.facts, *t.answers)]


def test_the_same_trades_come_every_time() -> None:
    assert msgspec.json.encode(made(50)) == msgspec.json.encode(made(50))


def test_every_message_becomes_a_row() -> None:
    kinds = {type(judged(message)) for message in made(50)}
    assert kinds == {FactRow, OutcomeRow, ObservationRow}


def test_a_producers_numbers_have_no_gaps() -> None:
    told = list(trades(7, 20, START, timedelta(seconds=1), "p"))
    assert [fact.seq for trade in told for fact in trade.facts] == list(range(1, 41))


def test_most_are_followed_and_some_are_denied() -> None:
    ends = [m.result for m in made(400) if isinstance(m, outcomes.Outcome)]
    assert ends.count("filled") == ends.count("closed") > 350
    assert 0 < ends.count("denied") == ends.count("ignored")


def test_entries_are_as_large_as_real_ones() -> None:
    sizes = [len(msgspec.json.encode(m)) for m in made(100) if not isinstance(m, outcomes.Deal)]
    assert 400 < sum(sizes) / len(sizes) < 700
