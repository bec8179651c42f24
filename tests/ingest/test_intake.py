import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from prometheus_client import CollectorRegistry

from ingest.album import Album
from ingest.exchange import Exchange, Frame
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.outbox import Outbox
from ingest.recording import Recorder, Wish, ask, recorded
from ingest.source import Source
from shared.facts import Amount, Fact, OrderPlaced
from tests.ingest.samples import BROKER, START, journal, market_buy, request


class Desk:
    """An intake with its outbox; `now` is the clock."""

    def __init__(self, path: Path, sources: tuple[Source, ...]) -> None:
        self.now = START
        self.registry = CollectorRegistry()
        numbers = iter(range(1, 100))
        self.outbox = Outbox(path, [s.name for s in sources], fresh=lambda name: f"{name}-{next(numbers)}")
        metrics, self.album = Metrics(self.registry), Album(self.outbox.pictures)
        self.intake = Intake(sources, self.outbox, self.album, metrics, clock=self.clock)

    def clock(self) -> datetime:
        return self.now

    def on_disk(self) -> bytes:
        """What the oldest segment holds."""
        assert self.outbox.journal.flushed(60)
        return journal(self.outbox.directory.path).read_bytes()

    def facts(self, source: str = "demo") -> list[Fact]:
        return list(self.outbox.producers[source].waiting)

    def notes(self, note: str, source: str = "demo") -> float:
        return self.registry.get_sample_value("tradecopier_ingest_notes_total", {"source": source, "note": note}) or 0

    def answer(self, exchange: Exchange, said: Any, seconds: float = 0.1) -> None:
        self.now = exchange.asked + timedelta(seconds=seconds)
        self.intake.answered(replace(exchange, status=200, answer=json.dumps(said).encode(), answered=self.now))

    def poll(self, kind: str, rows: list[dict[str, Any]], seconds: float, account: str = "10001") -> None:
        asked = request("GET", f"/accounts/{account}/{kind}", flow=f"{kind}{seconds}", seconds=seconds)
        self.intake.asked(asked)
        self.answer(asked, {"s": "ok", "d": rows})


@contextmanager
def desk(path: Path, *sources: Source, owned: bool = True) -> Iterator[Desk]:
    found = Desk(path, sources or (BROKER,))
    if owned:
        for name in found.outbox.producers:
            found.outbox.own(name, "token")
    try:
        yield found
    finally:
        found.outbox.close()


def test_a_call_is_on_disk_before_it_is_forwarded_and_its_fact_before_the_reply_passes(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.intake.asked(market_buy())
        assert b'"record":"asked"' in ours.on_disk()
        ours.answer(market_buy(), {"s": "ok", "d": {"orderId": "77"}})
        assert b'"kind":"order.placed"' in ours.on_disk()
        (placed,) = ours.facts()
        assert isinstance(placed, OrderPlaced)
        assert (placed.order.id, placed.seq, placed.producer, placed.captured) == ("77", 1, "demo-1", ours.now)
        assert not ours.outbox.asked


def test_a_trading_call_that_cannot_be_read_is_on_disk_before_it_is_forwarded_and_settled_by_its_reply(
    tmp_path: Path,
) -> None:
    with desk(tmp_path) as ours:
        odd = replace(market_buy(), body=b"what=ever")
        ours.intake.asked(odd)
        assert b'"record":"asked"' in ours.on_disk()
        assert ours.intake.awaits(odd.flow)
        ours.answer(odd, {"s": "ok", "d": {"orderId": "77"}})
        assert (ours.facts(), ours.outbox.asked) == ([], {})
        for path in ("/accounts/10001/previewOrder", "/accounts/99/orders", "/quotes"):
            ours.intake.asked(replace(odd, path=path))
            assert not ours.intake.awaits(odd.flow)


def test_a_reply_that_had_come_before_the_restart_is_read_after_it(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.intake.asked(market_buy())
        accepted = b'{"s":"ok","d":{"orderId":"77"}}'
        ours.intake.reply(market_buy().flow, status=200, answer=accepted, answered=START)
        assert ours.facts() == []
    with desk(tmp_path) as again:
        again.intake.resume()
        (placed,) = again.facts()
        assert isinstance(placed, OrderPlaced)
        assert (placed.order.id, placed.evidence, again.outbox.asked) == ("77", "call", {})
    with desk(tmp_path) as third:
        third.intake.resume()
        assert len(third.facts()) == 1, "once"


def test_a_reply_that_cannot_be_read_after_a_restart_is_left_to_the_polls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def surprise(_exchange: Exchange) -> None:
        raise RuntimeError("a surprise")

    with desk(tmp_path) as ours:
        ours.intake.asked(market_buy())
        ours.intake.reply(market_buy().flow, status=200, answer=b"{}", answered=START)
    with desk(tmp_path) as again:
        monkeypatch.setattr(again.intake, "answered", surprise)
        again.intake.resume()
        assert (again.facts(), again.outbox.asked, again.notes("unanswered")) == ([], {}, 1)
    assert "the polls will show what became of it" in caplog.text


def test_a_refused_call_is_settled_and_gives_no_fact(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.intake.asked(market_buy())
        ours.answer(market_buy(), {"s": "error", "errmsg": "Not enough money"})
        assert (ours.facts(), ours.outbox.asked, ours.notes("refused")) == ([], {}, 1)


def test_the_uncertainty_of_the_clock_goes_with_the_fact(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.intake.uncertainty = 0.25
        ours.answer(market_buy(), {"s": "ok", "d": {"orderId": "77"}})
        assert ours.facts()[0].uncertainty == 0.25


def test_a_source_that_another_ingest_owns_is_not_even_looked_at(tmp_path: Path) -> None:
    with desk(tmp_path, owned=False) as ours:
        assert ours.intake.opened() == set()
        ours.intake.asked(market_buy())
        ours.answer(market_buy(), {"s": "ok", "d": {"orderId": "77"}})
        assert (ours.facts(), ours.outbox.asked, ours.outbox.pictures) == ([], {}, {})


def test_another_port_of_the_same_host_is_not_the_source(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        elsewhere = replace(market_buy(), port=8443)
        ours.intake.asked(elsewhere)
        ours.answer(elsewhere, {"s": "ok", "d": {"orderId": "77"}})
        assert (ours.facts(), ours.outbox.asked) == ([], {})


def test_two_accounts_on_one_host_are_told_apart(tmp_path: Path) -> None:
    with desk(tmp_path, BROKER, replace(BROKER, name="second", account="20002")) as ours:
        asked = replace(market_buy(), path="/accounts/20002/orders")
        ours.intake.asked(asked)
        ours.answer(asked, {"s": "ok", "d": {"orderId": "77"}})
        assert ours.facts("demo") == []
        assert [fact.account for fact in ours.facts("second")] == ["20002"]


def test_a_call_that_was_cut_off_by_a_restart_is_settled_by_the_polls(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.poll("orders", [], 0)
        ours.poll("positions", [], 0.1)
        ours.intake.asked(market_buy("f9", 1))
    with desk(tmp_path) as ours:
        assert list(ours.outbox.asked) == ["f9"]
        ours.now = START + timedelta(seconds=2)
        ours.intake.resume()
        assert (ours.facts(), ours.outbox.asked) == ([], {})
        row = {"id": "77", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "type": "market", "status": "filled"}
        held = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
        for seconds in (3, 4, 5, 6):
            ours.poll("orders", [row | {"filledQty": 0.1, "avgPrice": 1.085}], seconds)
            ours.poll("positions", [held], seconds + 0.5)
        # How the polls tell it is the picture's affair; what counts is that it is there, once.
        after = [fact.exposure.after for fact in ours.facts()]
        assert after[-1] == Amount(held=Decimal("0.1"))
        assert len({fact.exposure.position for fact in ours.facts()}) == 1


def test_a_poll_that_changes_nothing_is_kept_on_disk_only_from_time_to_time(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.poll("orders", [], 0)
        first = ours.on_disk()
        assert b"demo/10001" in first, "the very first poll is what all later ones are compared with"
        ours.poll("orders", [], 1)
        assert ours.on_disk() == first
        ours.intake.keep()
        assert len(ours.on_disk()) > len(first)
        ours.intake.keep()
        polled = ours.registry.get_sample_value("tradecopier_ingest_last_poll_timestamp_seconds", {"source": "demo"})
        assert polled == ours.now.timestamp()


def test_what_is_no_fact_is_counted(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        ours.intake.answered(
            replace(request("POST", "/accounts/10001/novelty"), status=200, answer=b"{}", answered=START)
        )
        ours.intake.answered(replace(request("GET", "/config"), status=200, answer=b"{}", answered=START))
        assert (ours.notes("unknown"), ours.notes("ignored")) == (1, 1)


def test_a_picture_that_was_kept_by_a_clock_that_is_set_back_since_silences_no_poll(tmp_path: Path) -> None:
    row = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
    with desk(tmp_path) as ours:
        ours.poll("orders", [], 86_400)
        ours.poll("positions", [], 86_400.5)
        ours.intake.keep()
    with desk(tmp_path) as ours:
        ours.now = START
        ours.intake.resume()
        for seconds in (1, 2, 6, 7):
            ours.poll("orders", [], seconds)
            ours.poll("positions", [row], seconds + 0.5)
        assert [str(fact.exposure.after.total) for fact in ours.facts()] == ["0.1"]


def test_the_first_look_and_what_is_learnt_once_are_on_disk_at_once(tmp_path: Path) -> None:
    with desk(tmp_path) as ours:
        sizes = [len(ours.on_disk())]
        instrument = {"name": "EURUSD", "description": "", "minQty": 0.01, "lotSize": 100000, "minTick": 0.00001}
        for kind, rows in (("orders", []), ("positions", []), ("instruments", [instrument])):
            ours.poll(kind, rows, len(sizes))
            sizes.append(len(ours.on_disk()))
        assert sizes == sorted(set(sizes)), "each of them is a record"
        ours.poll("instruments", [instrument], 9)
        assert len(ours.on_disk()) == sizes[-1]


def test_a_position_s_id_is_on_disk_before_a_call_can_name_it(tmp_path: Path) -> None:
    """Else a close right after a restart would have to wait for the polls to show its effect."""
    netting = replace(BROKER, positions="netting")
    row = {"id": "5", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "avgPrice": 1.085}
    filled = {"id": "77", "instrument": "EURUSD", "qty": 0.1, "side": "buy", "type": "market", "status": "filled"}
    with desk(tmp_path, netting) as ours:
        ours.poll("orders", [], 0)
        ours.poll("positions", [], 0.1)
        ours.answer(market_buy("f1", 1), {"s": "ok", "d": {"orderId": "77"}})
        ours.poll("orders", [filled | {"filledQty": 0.1}], 2)
        ours.poll("positions", [row], 3)
    with desk(tmp_path, netting) as ours:
        ours.intake.resume()
        ours.answer(request("DELETE", "/accounts/10001/positions/5", flow="f2", seconds=5), {"s": "ok"})
        assert ours.facts()[-1].exposure.after.total == 0


def test_only_what_is_of_the_account_is_recorded(tmp_path: Path) -> None:
    paper = Source(name="demo", host="papertrading.tradingview.com", protocol="paper", account="1234567")
    recorder = Recorder(tmp_path)
    ask(tmp_path, Wish(file=str(tmp_path / "out.jsonl"), until=START + timedelta(hours=1), everything=True))
    recorder.look(START)
    with desk(tmp_path, paper) as ours:
        intake = Intake(
            [paper], ours.outbox, Album({}), Metrics(CollectorRegistry()), clock=ours.clock, recorder=recorder
        )
        for channel, account in (("alerts", 1234567), ("trading", 7654321), ("trading", 1234567)):
            content = {"m": "balance_update", "p": {"balance": 1}, "accountId": account}
            text = json.dumps({"text": {"channel": channel, "content": content}}).encode()
            host = "pushstream.tradingview.com"
            intake.seen(Frame(flow=f"{channel}{account}", host=host, port=443, path="/p", at=START, text=text))
    recorder.close()
    assert [heard.flow for _, heard in recorded(tmp_path / "out.jsonl")] == ["trading1234567"]
