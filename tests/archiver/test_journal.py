"""What a trader asks is answered from the rows: trades, latency, denials, what is unfinished, drift."""

import csv
import json
import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import msgspec
import psycopg
import pytest

from archiver.journal import EXPORTED, Question, query, trades, written
from archiver.migrate import migrate
from archiver.patience import Away
from archiver.store import Store
from archiver.summary import COLUMNS as SUMMED
from archiver.summary import Line, Summary
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

    @property
    def now(self) -> datetime:
        """When the source last changed."""
        return self._start + timedelta(seconds=self._revision)

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


async def test_a_trade_that_its_stop_has_ended_is_closed_whatever_the_source_does(any_postgres: Database) -> None:
    story = Story()
    story.ends(story.goes_to("0.3"), opened("0.3", "1.1", 1, mark=77, deal=11))
    story.ends(story.goes_to("0.2"), reduced("0.1", "1.13", deal=12, mark=78))
    story.deal(11, mark=77, entry="in", side="buy", volume=D("0.3"))
    story.deal(12, mark=78, profit=D(30))
    story.deal(50, mark=77, reason="stop_loss", volume=D("0.2"), price=D("1.07"), profit=D(-60), seen=later(99))
    asked = "select state, lots, lots_closed, price_closed, closed, net from trades"
    stopped = [("closed", D("0.3"), D("0.3"), D("1.09"), later(99), D(-30))]
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, asked) == stopped
    story.ends(story.goes_to("0"), result="ignored", reason="closed-here")
    assert select(await archive_of(any_postgres, story.messages), asked) == stopped


async def test_what_others_close_on_a_shared_position_is_never_more_than_was_open(any_postgres: Database) -> None:
    story = Story()
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1, mark=77))
    story.deal(50, mark=0, reason="hand", volume=D("2.5"))
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select state, lots, lots_closed from trades") == [("closed", D("0.1"), D("0.1"))]


async def test_a_trade_that_was_held_for_more_than_a_year_is_one_row_with_its_money(any_postgres: Database) -> None:
    """Nothing in between, so there are partitions for the two months alone, and a summer time has come and gone."""
    year = timedelta(days=400)
    story = Story()
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1, mark=77, deal=11))
    shut = msgspec.structs.replace(story.goes_to("0"), captured=MOMENT + year)
    story.messages[-1] = shut
    story.ends(shut, reduced("0.1", "1.3", deal=12), result="closed")
    story.deal(11, mark=77, entry="in", side="buy", commission=D(-1), time=MOMENT, seen=MOMENT)
    story.deal(12, profit=D(200), time=MOMENT + year, seen=MOMENT + year)
    dsn = await archive_of(any_postgres, story.messages)
    assert select(dsn, "select state, lots_closed, net, closed from trades") == [
        ("closed", D("0.1"), D(199), MOMENT + year + timedelta(milliseconds=9))
    ]
    days = Question(namespace="main", first=MOMENT.date(), last=MOMENT.date())
    assert len(list(trades(dsn, days))) == 1
    assert list(trades(dsn, Question(namespace="main", first=MOMENT.date() + timedelta(days=1)))) == []


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns", "Pacific/Kiritimati"])
@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-02-28T23:59:59.999999", 2),
        ("2026-03-01T00:00:00", 3),
        ("2026-10-25T01:30:00", 10),
        ("2024-02-29T12:00", 2),
    ],
)
async def test_a_day_is_one_of_utc_whatever_the_server_thinks(
    archive: Database, zone: str, moment: str, month: int
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(archive.dsn)["dbname"]
    select(archive.dsn, f"alter database {name} set timezone to '{zone}'")
    at = datetime.fromisoformat(f"{moment}+00:00")
    story = Story(start=at - timedelta(seconds=1))
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1))
    dsn = await archive_of(archive, story.messages)
    assert select(dsn, "select tableoid::regclass::text from facts") == [(f"facts_{at.year}_{month:02d}",)]
    around = [at.date() + timedelta(days=n) for n in (-1, 0, 1)]
    found = [list(trades(dsn, Question(namespace="main", first=day, last=day))) for day in around]
    assert [[row[0] for row in rows] for rows in found] == [[], [at], []]


async def test_the_figures_agree_with_a_count_that_knows_nothing_of_the_archive(archive: Database) -> None:
    """Sixty random trades: grown, shrunk, closed by us, by a stop or not at all. The money is counted beside them."""
    rng, books = random.Random(5), {"one": Ledger(), "two": Ledger()}
    messages: list[Message] = []
    for number in range(60):
        account = rng.choice(sorted(books))
        made, money = random_trade(rng, number, account)
        messages += made
        books[account].add(money)
    dsn = await archive_of(archive, messages)
    found = Summary()
    for row in trades(dsn, Question(namespace="main"), SUMMED):
        found.add(Line.of(row))
    for account, book in books.items():
        tally = found.accounts[account]
        assert (tally.trades, tally.closed) == (book.trades, len(book.closed))
        assert (tally.won, tally.lost) == (sum(m > 0 for m in book.closed), sum(m < 0 for m in book.closed))
        assert tally.net == sum(book.closed)
        losses = -sum(m for m in book.closed if m < 0)
        assert tally.profit_factor == sum((m for m in book.closed if m > 0), D(0)) / losses


class Ledger:
    """What an accountant would write down: how many trades there were, and what each closed one earned."""

    def __init__(self) -> None:
        self.trades = 0
        self.closed: list[D] = []

    def add(self, money: D | None) -> None:
        self.trades += 1
        if money is not None:
            self.closed.append(money)


def random_trade(rng: random.Random, number: int, account: str) -> tuple[list[Message], D | None]:
    """A trade's messages, and what it earned; None when it is still open."""
    story, first, money, total = Story(f"o{number}", MOMENT + timedelta(hours=number)), number * 100, D(0), D(0)
    for turn in range(1, rng.randint(2, 4)):
        total += D("0.1")
        deal = first + turn
        steps = opened("0.1", "1.1", first, mark=first + 1, deal=deal)
        story.ends(story.goes_to(f"{total}"), steps, account=account)
        money += charge(story, rng, deal, account, first, entry="in", side="buy", mark=first + 1)
    end = rng.choice(["us", "stop", "both", "open"])
    if end in ("us", "both"):
        part = total if end == "us" else D("0.05")
        story.ends(story.goes_to(f"{total - part}"), reduced(f"{part}", "1.2", deal=first + 50), account=account)
        money += charge(story, rng, first + 50, account, first, volume=part, profit=D(rng.randint(-99, 99)))
        total -= part
    if end in ("stop", "both"):
        earned = D(rng.randint(-99, 99))
        fields = {"volume": total, "profit": earned, "mark": first + 1, "reason": "stop_loss"}
        money += charge(story, rng, first + 60, account, first, **fields)
    return story.messages, None if end == "open" else money


def charge(story: Story, rng: random.Random, number: int, account: str, position: int, **fields: Any) -> D:
    """A deal of the story, with a commission; returns what it earned."""
    commission, time = D(rng.randint(-9, 0)) / 10, story.now
    story.deal(number, account=account, position=position, commission=commission, time=time, seen=time, **fields)
    return commission + D(fields.get("profit", 0))


async def test_a_name_from_a_broker_cannot_write_on_the_screen(archive: Database) -> None:
    story = Story(instrument="EUR\x1b[2JUSD\u202e\nX")
    story.ends(story.goes_to("0.1"), opened("0.1", "1.1", 1), instrument="EUR\x1b[2JUSD\u202e\nX")
    dsn = await archive_of(archive, story.messages)
    _, line, _ = list(written(trades(dsn, Question(namespace="main")), "table"))
    assert "EUR?[2JUSD??X" in line
    assert line.isprintable()
    (as_csv,) = csv.DictReader(written(trades(dsn, Question(namespace="main"), EXPORTED), "csv"))
    assert as_csv["instrument"] == "EUR\x1b[2JUSD\u202e\nX", "an export is exact"


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


async def test_a_disagreement_is_one_row_from_its_beginning_to_its_end(any_postgres: Database) -> None:
    def drift(at: int, name: str = "stray:1", since: int = 0, over: int | None = None) -> outcomes.Drift:
        return outcomes.Drift(
            account="one", position="p", symbol="EURUSD", expected=D(0), actual=D(at), seen=later(at), identity=name,
            finding="stray", remedy="close it", since=later(since), ended=later(over) if over is not None else None,
        )  # fmt: skip

    again = drift(60, since=50)
    messages = [drift(3), drift(9, over=9), drift(4, "stray:2"), again, drift(900, since=50, over=900)]
    dsn = await archive_of(any_postgres, [*messages, again])

    found = select(dsn, "select since, seen, ended, actual, finding, remedy from drift order by seen")
    assert found == [
        (later(0), later(3), later(9), D(3), "stray", "close it"),
        (later(0), later(4), None, D(4), "stray", "close it"),
        (later(50), later(60), later(900), D(60), "stray", "close it"),
    ]


def plan_of(dsn: str, question: Question) -> str:
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
    (as_csv,) = csv.DictReader(written(trades(dsn, question, EXPORTED), "csv"))
    (as_json,) = (json.loads(line) for line in written(trades(dsn, question, EXPORTED), "json"))
    assert list(as_csv) == list(as_json) == list(EXPORTED)
    assert (as_csv["tickets"], as_json["tickets"], as_csv["commission"], as_json["swap"]) == ("1", [1], "-3", "-0.5")
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
    assert list(written([], "csv")) == [",".join(EXPORTED)]
    assert list(written([], "json")) == []


def test_an_archive_that_does_not_answer_is_away() -> None:
    with pytest.raises(Away):
        list(trades("postgresql://x@127.0.0.1:1/x", Question(namespace="main")))
