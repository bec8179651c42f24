"""The same entry is the same row wherever and whenever it is made; what cannot be a row is a value."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.rows import Held, Unreadable, record
from archiver.tables import FactRow, ObservationRow, OutcomeRow
from shared import facts, outcomes, wire
from tests.archiver.entries import CODEC, FIRST_MS, Message, entry, fact, judged, later, outcome, step, stream_of
from tests.shared.samples import FACTS, MOMENT, OUTCOMES, amount, exposure, order, placed

TABLES = {"orders": FactRow, "outcomes": OutcomeRow | ObservationRow}


@pytest.mark.parametrize("message", [*FACTS, *OUTCOMES], ids=lambda m: str(m.__struct_config__.tag))
def test_every_kind_of_message_is_a_row_that_keeps_its_entry_as_it_came(message: Message) -> None:
    fields = entry(message).fields
    row = judged(message)
    assert isinstance(row, TABLES[stream_of(message)])
    assert (row.m, row.k.encode(), row.s.encode()) == (fields[b"m"], fields[b"k"], fields[b"s"])
    assert row.body.encode() == fields[b"m"]
    assert row.published == datetime.fromtimestamp(FIRST_MS / 1000, UTC)


@pytest.mark.parametrize("message", [*FACTS, *OUTCOMES], ids=lambda m: str(m.__struct_config__.tag))
def test_another_entry_id_changes_nothing_but_where_the_row_was_read(message: Message) -> None:
    once, again = judged(message, 0), judged(message, 7)
    assert msgspec.structs.replace(again, entry=once.entry) == once


def test_a_fact_is_asked_for_by_what_it_says() -> None:
    row = judged(
        placed(
            order=order(type="limit", limit_price=D("1.08"), side="sell"),
            exposure=exposure(amount("0.3", "-0.1"), amount("0.3"), 4),
            levels=facts.Levels(stop_loss=D("1.07"), take_profit=None),
            price=D("1.085"),
        )
    )
    assert (row.kind, row.source, row.source_account, row.order_type, row.side) == (
        "order.placed", "demo", "10001", "limit", "sell",
    )  # fmt: skip
    assert (row.held_before, row.coming_before, row.held_after, row.coming_after) == (
        D("0.3"),
        D("-0.1"),
        D("0.3"),
        D(0),
    )
    assert (row.revision, row.stop_loss, row.take_profit, row.price) == (4, D("1.07"), None, D("1.085"))


def test_lots_are_those_that_took_effect_and_their_price_is_the_average() -> None:
    row = judged(
        outcome(
            fact(1),
            step(volume=D("0.1"), price=D("1.10"), ticket=11, deal=21, mark=31, sent=later(1), answered=later(2)),
            step(volume=D("0.3"), price=D("1.14"), ticket=12, sent=later(3), answered=later(4)),
            step(volume=D(9), result="rejected"),
            step(kind="reduce", volume=D("0.2"), price=D("1.2"), deal=22),
            step(kind="set", volume=None),
        )
    )
    assert (row.lots_opened, row.price_opened) == (D("0.4"), D("1.13"))
    assert (row.lots_reduced, row.price_reduced) == (D("0.2"), D("1.2"))
    assert (row.tickets_opened, row.deals_opened, row.deals_reduced, row.marks_opened) == ([11, 12], [21], [22], [31])
    assert (row.sent, row.answered) == (later(1), later(4))


def test_a_price_that_is_not_known_leaves_the_average_open() -> None:
    row = judged(outcome(fact(1), step(price=D("1.1")), step(price=None)))
    assert (row.lots_opened, row.price_opened) == (D("0.2"), None)


def test_a_pending_order_that_was_accepted_has_opened_nothing() -> None:
    row = judged(outcome(fact(1), step(ticket=5), result="accepted"))
    assert (row.lots_opened, row.tickets_opened) == (D(0), [5])


def test_a_state_is_known_by_its_beginning() -> None:
    row = judged(outcomes.Pending(fact="f", account="one", state="owed", since=MOMENT, reason="market-closed"))
    assert (row.final, row.result, row.at, row.committed, row.read) == (False, "owed", MOMENT, MOMENT, None)


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        ({b"s": b"0" * 64}, Unreadable),
        ({b"m": b"{}"}, Unreadable),
        ({b"k": b"k9"}, Held),
    ],
    ids=["forged", "changed", "another key"],
)
def test_what_cannot_be_trusted_is_no_row(spoil: dict[bytes, bytes], expected: type) -> None:
    fields = {**entry(fact(1)).fields, **spoil}
    assert isinstance(record("main", "1-1", fields, CODEC.fact(fields)), expected)


def test_an_entry_that_is_gone_is_no_row() -> None:
    assert isinstance(record("main", "1-1", {}, CODEC.fact({})), Unreadable)


def test_a_kind_of_a_newer_version_waits_for_it() -> None:
    assert isinstance(record("main", "1-1", {}, wire.UnknownKind("order.teleported")), Held)


def signed(stream: str, body: bytes) -> dict[bytes, bytes]:
    """What another version may have signed: the wire's own signature over any bytes."""
    return {b"m": body, b"k": b"k1", b"s": CODEC._signature("k1", stream, body)}


def test_bytes_that_are_no_text_are_a_dead_letter() -> None:
    body = msgspec.json.encode(next(m for m in OUTCOMES if isinstance(m, outcomes.Notice)))
    fields = signed("outcomes", body[:-1] + b',"later":"\xff"}')
    verdict = CODEC.outcome(fields)
    assert isinstance(verdict, outcomes.Notice), "the wire skips what it does not know"
    assert isinstance(record("main", "1-1", fields, verdict), Unreadable)


def test_a_time_beyond_the_calendar_is_a_dead_letter() -> None:
    edge = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(-timedelta(hours=5)))
    assert isinstance(judged(fact(1, captured=edge)), Unreadable)


@given(st.timedeltas(timedelta(days=-9000), timedelta(days=9000)), st.integers(-14, 14))
def test_the_month_of_a_row_is_that_of_utc(since: timedelta, hours: int) -> None:
    aware = (MOMENT + since).astimezone(timezone(timedelta(hours=hours)))
    row = judged(fact(1, captured=aware))
    assert row.month == (aware.astimezone(UTC).year, aware.astimezone(UTC).month)
    assert row.captured == aware
