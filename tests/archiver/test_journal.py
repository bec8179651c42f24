"""What a trader asks is answered from the rows: trades, latency, denials, what is unfinished, drift."""

import csv
import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from archiver.journal import COLUMNS, Question, query, trades, written
from archiver.migrate import migrate
from archiver.patience import Away
from archiver.store import Store
from shared import facts, outcomes
from shared.facts import Amount
from tests.archiver.entries import Message, later, outcome, rows, select, step
from tests.conftest import Database
from tests.shared.samples import MOMENT, amount, exposure, header


async def archive_of(database: Database, messages: Sequence[Message]) -> str:
    migrate(database.dsn)
    async with Store(database.dsn) as store:
        assert await store.save(rows(messages)) == []
    return database.dsn


class Story:
    """A source position as it changes, and what two accounts make of it."""

    def __init__(self, position: str = "o1", start: datetime = MOMENT, **fields: Any) -> None:
        self.messages: list[Message] = []
        self._position = position
        self._start = start
        self._fields = fields
        self._revision = 0
        self._total = Amount()

    def goes_to(self, lots: str, price: str | None = None) -> facts.Fact:
        """The source's position becomes `lots` (signed), one second after its last change."""
        self._revision += 1
        before, self._total = self._total, amount(lots)
        seq = len(self.messages) + 1
        fact = facts.PositionChanged(
            **header(
                id=f"demo/10001/position:{self._position}/{self._revision}",
                seq=seq,
                producer=f"outbox-{self._position}",
                captured=self._start + timedelta(seconds=self._revision),
                price=D(price) if price else None,
                exposure=exposure(before, self._total, self._revision, self._position),
                **self._fields,
            )
        )
        self.messages.append(fact)
        return fact

    def ends(self, fact: facts.Fact, *steps: outcomes.StepReport, **fields: Any) -> None:
        self.messages.append(outcome(fact, *steps, **fields))

    def deal(self, number: int, **fields: Any) -> None:
        given: dict[str, Any] = {
            "account": "one", "deal": number, "order": number, "position": 1, "symbol": "EURUSD", "side": "sell",
            "entry": "out", "volume": D("0.1"), "price": D("1.1"), "time": later(60), "seen": later(61),
        }  # fmt: skip
        self.messages.append(outcomes.Deal(**{**given, **fields}))


def opened(lots: str, price: str, ticket: int, **fields: Any) -> outcomes.StepReport:
    calls = {"sent": later(1.002), "answered": later(1.012)}
    return step(volume=D(lots), price=D(price), ticket=ticket, **{**calls, **fields})


def reduced(lots: str, price: str, **fields: Any) -> outcomes.StepReport:
    return step(name="close", kind="reduce", volume=D(lots), price=D(price), **fields)


def hedging() -> Story:
    """Opened at 1.1000, copied at 1.1002 after 2 ms; a part closed; the rest closed; account two was refused."""
    story = Story()
    opening = story.goes_to("0.3", "1.1000")
    story.ends(opening, opened("0.3", "1.1002", 1, deal=11, mark=77))
    story.ends(opening, account="two", result="denied", reason="too-late", text="it was too late")
    story.ends(story.goes_to("0.3"), result="ignored", reason="already-there")
    story.ends(story.goes_to("0.1"), reduced("0.2", "1.1100", deal=12), result="closed")
    story.ends(story.goes_to("0"), reduced("0.1", "1.1130", deal=13), result="closed")
    story.deal(11, entry="in", side="buy", mark=77, commission=D(-1))
    story.deal(12, profit=D(196), commission=D(-1))
    story.deal(13, profit=D(128), swap=D("-0.5"), commission=D(-1))
    story.deal(99, position=5, profit=D(1000))
    return story


async def test_a_trade_is_one_row_from_the_click_to_the_close(any_postgres: Database) -> None:
    dsn = await archive_of(any_postgres, hedging().messages)
    found = select(
        dsn,
        "select account, symbol, side, state, lots, lots_closed, source_price, price_opened, price_closed, slippage,"
        " profit, swap, commission, net, sent_ms, answered_ms, facts, captured, tickets from trades",
    )
    assert found == [
        (
            "one", "EURUSD", "buy", "closed", D("0.3"), D("0.3"), D("1.1000"), D("1.1002"), D("1.111"), D("0.0002"),
            D(324), D("-0.5"), D(-3), D("320.5"), D(2), D(12), 4, later(1), [1],
        )
    ]  # fmt: skip


async def test_a_trade_that_is_still_open_says_so(any_postgres: Database) -> None:
    story = Story()
    story.ends(story.goes_to("-0.2", "1.1"), opened("0.2", "1.0999", 1))
    story.ends(story.goes_to("-0.1"), reduced("0.1", "1.09"), result="closed")
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select side, state, lots, lots_closed, closed, slippage, net from trades") == [
        ("sell", "open", D("0.2"), D("0.1"), None, D("0.0001"), None)
    ]


async def test_what_grows_is_one_trade_at_its_average_price(any_postgres: Database) -> None:
    story = Story()
    story.ends(story.goes_to("0.1", "1.1"), opened("0.1", "1.10", 1))
    story.ends(story.goes_to("0.4", "1.2"), opened("0.3", "1.20", 2))
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select lots, price_opened, tickets from trades") == [(D("0.4"), D("1.175"), [1, 2])]


async def test_a_reversal_ends_one_trade_and_begins_another(any_postgres: Database) -> None:
    story = Story(model="netting")
    story.ends(story.goes_to("0.1", "1.1"), opened("0.1", "1.10", 1, deal=11))
    turn = story.goes_to("-0.2", "1.2")
    story.ends(turn, reduced("0.1", "1.20", deal=12), opened("0.2", "1.20", 3, deal=13))
    story.ends(story.goes_to("0"), reduced("0.2", "1.15", deal=14), result="closed")
    for number, profit in ((11, 0), (12, 1000), (13, 0), (14, 1000)):
        story.deal(number, profit=D(profit), commission=D(-1), position=number)
    dsn = await archive_of(any_postgres, story.messages)
    found = select(
        dsn, "select side, state, lots, lots_closed, price_opened, price_closed, net, facts from trades order by 1"
    )
    assert found == [
        ("buy", "closed", D("0.1"), D("0.1"), D("1.1"), D("1.2"), D(998), 2),
        ("sell", "closed", D("0.2"), D("0.2"), D("1.2"), D("1.15"), D(998), 2),
    ]


async def test_one_netting_position_is_a_trade_each_time_it_is_flat_again(any_postgres: Database) -> None:
    story = Story(model="netting")
    for turn in range(3):
        story.ends(story.goes_to("0.1"), opened("0.1", "1.1", turn + 1))
        story.ends(story.goes_to("0"), reduced("0.1", "1.2"), result="closed")
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select captured, lots, lots_closed, facts from trades order by 1") == [
        (later(turn * 2 + 1), D("0.1"), D("0.1"), 2) for turn in range(3)
    ]


async def test_a_stop_that_mt5_hit_by_itself_is_money_of_its_trade(any_postgres: Database) -> None:
    story = Story()
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1, mark=77))
    story.deal(50, mark=77, reason="stop_loss", profit=D(-40))
    story.deal(51, mark=0, position=1, reason="hand", profit=D(-2))
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select profit from trades") == [(D(-42),)]


async def test_on_a_shared_netting_position_a_marked_deal_belongs_to_the_trade_with_its_mark(
    any_postgres: Database,
) -> None:
    first, second = Story("o1"), Story("o2")
    first.ends(first.goes_to("0.1"), opened("0.1", "1.1", 1, mark=77))
    second.ends(second.goes_to("0.2"), opened("0.2", "1.1", 1, mark=78))
    first.deal(50, mark=77, profit=D(5))
    second.deal(51, mark=78, profit=D(7))
    dsn = await archive_of(any_postgres, [*first.messages, *second.messages])
    assert select(dsn, "select lots, profit from trades order by 1") == [(D("0.1"), D(5)), (D("0.2"), D(7))]


async def test_a_second_statement_of_a_fact_doubles_no_trade(any_postgres: Database) -> None:
    story = hedging()
    restated = [
        facts.PositionChanged(
            **header(id=m.id, seq=m.seq, producer="outbox-2", captured=m.captured, exposure=m.exposure)
        )
        for m in story.messages
        if isinstance(m, facts.PositionChanged)
    ]
    dsn = await archive_of(any_postgres, [*story.messages, *restated])
    assert select(dsn, "select lots, lots_closed, net from trades") == [(D("0.3"), D("0.3"), D("320.5"))]
    assert select(dsn, "select count(*) from latency") == [(1,)]


async def test_an_end_that_a_failover_lost_gives_way_to_the_one_made_anew(any_postgres: Database) -> None:
    story = Story()
    opening = story.goes_to("0.1")
    story.ends(opening, result="dead", committed=later(2))
    story.ends(opening, opened("0.1", "1.1", 1), committed=later(3))
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select count(*) from outcomes") == [(2,)]
    assert select(dsn, "select result from ends") == [("filled",)]
    assert select(dsn, "select count(*) from denials") == [(0,)]
    assert select(dsn, "select lots from trades") == [(D("0.1"),)]


async def test_latency_has_every_stage_in_milliseconds(any_postgres: Database) -> None:
    story = Story()
    opening = story.goes_to("0.1")
    story.ends(opening, opened("0.1", "1.1", 1), read=later(1.0015), committed=later(1.0201))
    dsn = await archive_of(any_postgres, story.messages)
    found = select(dsn, "select read_ms, sent_ms, broker_ms, answered_ms, committed_ms from latency")
    assert found == [(D("1.5"), D(2), D(10), D(12), D("20.1"))]


async def test_steps_show_what_was_asked_of_mt5(any_postgres: Database) -> None:
    story = Story()
    set_levels = step(name="levels", kind="set", volume=None, stop_loss=D("1.05"), result="rejected", retcode=10016)
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1, mark=2**53 - 1), set_levels)
    dsn = await archive_of(any_postgres, story.messages)
    found = select(
        dsn, "select number, name, kind, result, volume, stop_loss, mark, retcode, sent from steps order by 1"
    )
    assert found == [
        (1, "open", "open", "done", D("0.1"), None, 2**53 - 1, None, later(1.002)),
        (2, "levels", "set", "rejected", None, D("1.05"), None, 10016, None),
    ]


async def test_denials_say_why(any_postgres: Database) -> None:
    dsn = await archive_of(any_postgres, hedging().messages)
    assert select(dsn, "select account, result, reason, text from denials") == [
        ("two", "denied", "too-late", "it was too late")
    ]


async def test_what_has_no_end_is_unfinished_until_it_has(any_postgres: Database) -> None:
    story = Story()
    first, second = story.goes_to("0.1"), story.goes_to("0")
    for fact in (first, second):
        story.messages += [
            outcomes.Pending(fact=fact.id, account="one", state="unresolved", since=later(3)),
            outcomes.Pending(fact=fact.id, account="one", state="owed", since=later(4)),
        ]
    story.ends(first, committed=later(5))
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select fact, state, since from unfinished") == [(second.id, "owed", later(4))]


async def test_drift_deals_and_notices_have_their_views(any_postgres: Database) -> None:
    drift = outcomes.Drift(account="one", position="p", symbol="EURUSD", expected=D(1), actual=D("0.5"), seen=MOMENT)
    notice = outcomes.Notice(account="one", reason="removed", text="facts are missing", seen=MOMENT)
    story = Story()
    story.deal(7, profit=D("1.50"))
    dsn = await archive_of(any_postgres, [drift, notice, *story.messages])
    assert select(dsn, "select symbol, expected, actual from drift") == [("EURUSD", D(1), D("0.5"))]
    assert select(dsn, "select reason, text from notices") == [("removed", "facts are missing")]
    assert select(dsn, "select deal, direction, profit from deals") == [(7, "out", D("1.50"))]


def plan_of(dsn: str, question: Question) -> str:
    import psycopg

    text, values = query(question)
    with psycopg.connect(dsn) as connection:
        return "\n".join(line for (line,) in connection.execute(b"explain " + text.as_bytes(), values).fetchall())


async def test_a_period_reaches_only_its_partitions(any_postgres: Database) -> None:
    messages = [m for month in (1, 5, 9) for m in _a_trade_in(month)]
    dsn = await archive_of(any_postgres, messages)
    may = Question(namespace="main", first=date(2026, 5, 1), last=date(2026, 5, 31))
    assert [row[0] for row in trades(dsn, may)] == [datetime.fromisoformat("2026-05-10T00:00:01+00:00")]
    scanned = plan_of(dsn, may).split("on outcomes_2026_")
    assert {part[:2] for part in scanned[1:2]} == {"05"}, "the trades themselves are looked for in May only"


def _a_trade_in(month: int) -> list[Message]:
    story = Story(position=f"o{month}", start=datetime.fromisoformat(f"2026-{month:02d}-10T00:00:00+00:00"))
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", month))
    return story.messages


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 1),
        ({"first": date(2026, 11, 25), "last": date(2026, 11, 25)}, 1),
        ({"first": date(2026, 11, 26)}, 0),
        ({"last": date(2026, 11, 24)}, 0),
        ({"account": "one"}, 1),
        ({"account": "two"}, 0),
        ({"instrument": "EURUSD"}, 1),
        ({"instrument": "GBPUSD"}, 0),
        ({"namespace": "other"}, 0),
    ],
)
async def test_a_question_is_narrowed(archive: Database, changes: dict[str, Any], count: int) -> None:
    dsn = await archive_of(archive, hedging().messages)
    assert len(list(trades(dsn, Question(**{"namespace": "main", **changes})))) == count


async def test_csv_and_json_are_exact(archive: Database) -> None:
    dsn = await archive_of(archive, hedging().messages)
    question = Question(namespace="main")
    (as_csv,) = csv.DictReader(written(trades(dsn, question), "csv"))
    (as_json,) = (json.loads(line) for line in written(trades(dsn, question), "json"))
    assert list(as_csv) == list(as_json) == list(COLUMNS)
    assert as_csv["captured"] == as_json["captured"] == later(1).isoformat()
    assert (as_csv["net"], as_json["net"], as_csv["lots"], as_csv["price_closed"]) == ("320.5", "320.5", "0.3", "1.111")


async def test_the_table_can_be_read(archive: Database) -> None:
    dsn = await archive_of(archive, hedging().messages)
    heading, line, summary = written(trades(dsn, Question(namespace="main")), "table")
    assert heading.startswith("time (UTC)")
    assert line.split()[:8] == ["2026-11-25", "13:30:01.123", "one", "EURUSD", "EURUSD", "buy", "closed", "0.3"]
    assert len(line) <= len(heading) + 10
    assert summary == "1 trade"


def test_an_empty_archive_has_no_trades() -> None:
    assert list(written([], "table"))[1:] == ["no trades"]
    assert list(written([], "csv")) == [",".join(COLUMNS)]
    assert list(written([], "json")) == []


def test_an_archive_that_does_not_answer_is_away() -> None:
    with pytest.raises(Away):
        list(trades("postgresql://x@127.0.0.1:1/x", Question(namespace="main")))
