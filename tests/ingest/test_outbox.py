import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from ingest import outbox as outboxes
from ingest import segments, slate
from ingest.outbox import KEEP_S, Outbox
from shared.process import UserError
from tests.ingest.samples import START, fact, journal, market_buy
from tests.ingest.test_segments import room_for
from tests.processes import python, told


@contextmanager
def opened(path: Path, *sources: str) -> Iterator[Outbox]:
    numbers = iter(range(1, 1000))
    known = len(list(path.glob("*.journal")))
    outbox = Outbox(path, sources or ("demo",), fresh=lambda name: f"{name}-{known}.{next(numbers)}")
    try:
        yield outbox
    finally:
        outbox.close()


def add(outbox: Outbox, count: int = 1, source: str = "demo", flow: str = "") -> None:
    producer = outbox.producers[source]
    for _ in range(count):
        new = fact(producer.next_seq, producer.id, source)
        outbox.answer(source, flow=flow, facts=(new,), pictures={f"{source}/10001": Raw(b'{"at":%d}' % new.seq)})


def waiting(outbox: Outbox, source: str = "demo") -> list[int]:
    producer = outbox.producers[source]
    assert all(f.producer == producer.id for f in producer.waiting)
    return [f.seq for f in producer.waiting]


def tend(outbox: Outbox, now: float = 0) -> None:
    """As the service does every second, when the disk has what was written."""
    outbox.journal.flushed(60)
    outbox.tend(now)
    outbox.journal.flushed(60)


def segments_left(outbox: Outbox) -> int:
    """How many there are when what was put aside is done."""
    outbox.aside.ask(lambda: None).result(60)
    return len(outbox.directory.segments())


def test_a_restart_finds_what_was_not_published_in_its_order_and_the_newest_picture(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 5)
        outbox.published("demo", 2)
        before = list(outbox.producers["demo"].waiting), outbox.producers["demo"].line
    with opened(tmp_path) as outbox:
        assert (list(outbox.producers["demo"].waiting), outbox.producers["demo"].line) == before
        assert waiting(outbox) == [3, 4, 5]
        assert outbox.pictures == {"demo/10001": Raw(b'{"at":5}')}


def test_a_restart_finds_the_request_whose_reply_never_came_and_no_other(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox:
        outbox.ask("demo", market_buy("answered"))
        add(outbox, flow="answered")
        outbox.ask("demo", market_buy("lost"))
    with opened(tmp_path) as outbox:
        assert {flow: asked.exchange for flow, asked in outbox.asked.items()} == {"lost": market_buy("lost")}


def test_a_restart_finds_the_reply_that_had_come_and_was_not_read(tmp_path: Path) -> None:
    answered = replace(market_buy("read"), status=200, answer=b'{"s":"ok"}', answered=START)
    with opened(tmp_path) as outbox:
        for flow in ("lost", "read", "done"):
            outbox.ask("demo", market_buy(flow))
        for flow in ("read", "done"):
            outbox.reply(flow, status=200, answer=answered.answer, answered=START)
        add(outbox, flow="done")
    for _ in range(2):  # from a record, and from the snapshot of the start after it
        with opened(tmp_path) as outbox:
            found = {flow: asked.exchange for flow, asked in outbox.asked.items()}
            assert found == {"lost": market_buy("lost"), "read": answered}


def test_each_source_has_a_sequence_of_its_own(tmp_path: Path) -> None:
    with opened(tmp_path, "demo", "other") as outbox:
        add(outbox, 2)
        add(outbox, 1, "other")
        outbox.published("demo", 2)
        assert (waiting(outbox), waiting(outbox, "other")) == ([], [1])


def test_a_source_that_left_the_settings_keeps_what_waits_for_its_return(tmp_path: Path) -> None:
    with opened(tmp_path, "demo", "other") as outbox:
        add(outbox, 2, "other")
    with opened(tmp_path, "demo"):
        pass
    with opened(tmp_path, "demo", "other") as outbox:
        assert waiting(outbox, "other") == [1, 2]


def test_a_fact_out_of_sequence_is_a_mistake_of_ours(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox, pytest.raises(AssertionError, match="a gap in seq"):
        outbox.answer("demo", facts=(fact(2, outbox.producers["demo"].id),))


def test_what_waits_is_found_across_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 1000)
    with opened(tmp_path) as outbox:
        outbox.ask("demo", market_buy("lost"))
        for _ in range(6):
            add(outbox, 3)
            tend(outbox, 0)
        outbox.published("demo", 4)
    assert len(list(tmp_path.glob("*.journal"))) > 4
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == list(range(5, 19))
        assert list(outbox.asked) == ["lost"]


async def test_facts_that_the_stream_lost_wait_again_also_from_older_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 1000)
    with opened(tmp_path) as outbox:
        for _ in range(5):
            add(outbox, 2)
            tend(outbox, 0)
        outbox.published("demo", 9)
        assert await outbox.rewind("demo", 3)
        assert waiting(outbox) == list(range(4, 11))
        assert outbox.producers["demo"].line.published == 3


async def test_facts_that_are_nowhere_any_more_are_not_passed_over_in_silence(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 4)
        outbox.published("demo", 4)
    with opened(tmp_path):
        pass
    journal(tmp_path).unlink()
    with opened(tmp_path) as outbox:
        assert not await outbox.rewind("demo", 1)


def test_a_new_producer_begins_at_1_with_what_waits_and_keeps_its_captured_time(tmp_path: Path) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 4)
        outbox.published("demo", 2)
        outbox.own("demo", "token")
        old = outbox.producers["demo"].id
        outbox.renew("demo")
        add(outbox)
        assert outbox.producers["demo"].id != old
        after = list(outbox.producers["demo"].waiting)
        assert [(f.seq, f.captured) for f in after] == [
            (1, fact(3).captured),
            (2, fact(4).captured),
            (3, fact(3).captured),
        ]
    with opened(tmp_path) as outbox:
        assert list(outbox.producers["demo"].waiting) == after
        assert outbox.producers["demo"].line.owner == "token"


@pytest.mark.parametrize("unpublished", [0, 1])
def test_old_segments_go_once_everything_in_them_is_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpublished: int
) -> None:
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 500)
    with opened(tmp_path) as outbox:
        for _ in range(3):
            add(outbox)
            tend(outbox, 0)
        outbox.published("demo", 3 - unpublished)
        for path in tmp_path.glob("*.journal"):
            os.utime(path, (1000, 1000))
        before = len(list(tmp_path.glob("*.journal")))
        tend(outbox, 999 + KEEP_S)
        assert segments_left(outbox) == before
        tend(outbox, 1001 + KEEP_S)
        assert segments_left(outbox) == 1 + unpublished
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == list(range(4 - unpublished, 4))


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 2)
        outbox.journal.flushed(60)
        size = journal(tmp_path).stat().st_size
        with room_for(size + 200):
            add(outbox, 3)
            outbox.journal.flushed(60)
            assert waiting(outbox) == [1, 2, 3, 4, 5]
            assert outbox.journal.held == 3
        assert [r.levelname for r in caplog.records].count("ERROR") == 1
        tend(outbox, 0)
        assert outbox.journal.held == 0
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == [1, 2, 3, 4, 5]


def test_a_disk_that_is_full_from_the_beginning_is_one_line(tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    with room_for(10), pytest.raises(UserError, match="the outbox cannot be written"), opened(outbox):
        pass


def test_what_a_full_disk_does_not_take_at_the_start_is_one_line_and_waits_on_the_slate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(slate, "MEMORY", memory)
    with opened(tmp_path / "outbox") as outbox:
        add(outbox, 3)
        outbox.journal.flushed(60)
        (kept,) = memory.iterdir()
        content = kept.read_bytes()
    kept.write_bytes(content)
    kept.chmod(0o600)
    path = journal(tmp_path / "outbox")
    path.write_bytes(path.read_bytes()[:-200])
    for room in (10, 10):
        with room_for(room), pytest.raises(UserError, match="the outbox cannot be written"):
            Outbox(tmp_path / "outbox", ["demo"], fresh=lambda name: f"{name}-1")
    with opened(tmp_path / "outbox") as outbox:
        assert waiting(outbox) == [1, 2, 3]


def test_a_record_that_was_cut_off_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 2)
    path = journal(tmp_path)
    path.write_bytes(path.read_bytes()[:-20])
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == [1]
        assert outbox.producers["demo"].next_seq == 2
    assert "no whole record" in caplog.text


def test_damage_amid_what_waits_begins_a_new_producer_with_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(tmp_path) as outbox:
        add(outbox, 3)
        old = outbox.producers["demo"].id
    path = journal(tmp_path)
    content = path.read_bytes().replace(b'"id":"1002"', b'"id":"1009"')
    path.write_bytes(content)
    with opened(tmp_path) as outbox, caplog.at_level(logging.ERROR):
        assert [f.captured for f in outbox.producers["demo"].waiting] == [fact(1).captured, fact(3).captured]
        assert waiting(outbox) == [1, 2]
        assert outbox.producers["demo"].id != old


def test_a_killed_process_leaves_every_fact_it_wrote(tmp_path: Path) -> None:
    source = """
        import sys
        from pathlib import Path
        from ingest.outbox import Outbox
        from tests.ingest.samples import fact
        outbox = Outbox(Path(sys.argv[1]), ["demo"], fresh=lambda name: "demo-1")
        for seq in range(1, 100000):
            outbox.answer("demo", facts=(fact(seq),))
            print(seq, flush=True)
    """
    with python(source, str(tmp_path)) as process:
        while int(last := told(process)) < 100:
            pass
        process.send_signal(signal.SIGKILL)
        rest = process.communicate()[0].split()
    last = rest[-1] if rest else last
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == list(range(1, outbox.producers["demo"].next_seq))
        assert outbox.producers["demo"].next_seq > int(last)


@given(deeds=st.lists(st.sampled_from(["fact", "publish", "renew", "tend", "reopen"]), max_size=30))
def test_whatever_happens_in_whatever_order_nothing_is_lost_or_renumbered(deeds: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(outboxes, "SEGMENT_BYTES", 2500)
        path, model, captured = Path(name), [], 0
        context = opened(path)
        outbox = context.__enter__()
        for deed in deeds:
            producer = outbox.producers["demo"]
            match deed:
                case "fact":
                    captured += 1
                    new = fact(producer.next_seq, producer.id)
                    model.append(new.captured)
                    outbox.answer("demo", facts=(new,))
                case "publish" if producer.waiting:
                    outbox.published("demo", producer.waiting[0].seq)
                    model.pop(0)
                case "renew":
                    outbox.renew("demo")
                case "tend":
                    tend(outbox, 0)
                case "reopen":
                    context.__exit__(None, None, None)
                    context = opened(path)
                    outbox = context.__enter__()
            producer = outbox.producers["demo"]
            assert [f.captured for f in producer.waiting] == model
            assert waiting(outbox) == list(range(producer.line.published + 1, producer.next_seq))
        context.__exit__(None, None, None)


async def test_a_slow_disk_holds_up_nobody_when_a_segment_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outboxes, "SEGMENT_BYTES", 10)
    is_fast = threading.Event()
    with opened(tmp_path) as outbox:
        add(outbox)
        monkeypatch.setattr(segments, "_sync_file", lambda _: is_fast.wait())
        monkeypatch.setattr(segments, "_sync_directory", lambda _: is_fast.wait())
        tend(outbox, 0)
        add(outbox)
        assert len(outbox.directory.segments()) == 2
        assert not is_fast.is_set()
        is_fast.set()
    with opened(tmp_path) as outbox:
        assert waiting(outbox) == [1, 2]
