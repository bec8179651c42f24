import logging
from threading import Event

import pytest

from ingest.aside import Aside

PATIENCE = 60


def test_things_are_done_one_after_another_and_all_of_them_before_it_ends() -> None:
    done: list[int] = []
    aside = Aside("test")
    for number in range(100):
        aside.do(lambda n=number: done.append(n))  # type: ignore[misc]
    assert aside.close(PATIENCE)
    assert done == list(range(100))


async def test_what_comes_of_it_is_told_to_whoever_asked() -> None:
    def fail() -> None:
        raise OSError(5, "Input/output error")

    aside = Aside("test")
    assert await aside.result(lambda: 42) == 42
    with pytest.raises(OSError, match="Input/output"):
        await aside.result(fail)
    assert aside.ask(lambda: 43).result(PATIENCE) == 43
    assert aside.close(PATIENCE)


def test_a_surprise_is_said_and_the_next_thing_is_done(caplog: pytest.LogCaptureFixture) -> None:
    aside = Aside("test")
    aside.do(lambda: 1 // 0)
    assert aside.ask(lambda: "done").result(PATIENCE) == "done"
    assert [(r.levelno, r.getMessage()) for r in caplog.records] == [(logging.ERROR, "test met a surprise")]
    assert aside.close(PATIENCE)


def test_who_ends_waits_for_a_thing_that_hangs_no_longer_than_he_wants() -> None:
    hangs = Event()
    aside = Aside("test")
    aside.do(hangs.wait)
    assert not aside.close(0.01)
    hangs.set()
    assert aside.close(PATIENCE)
