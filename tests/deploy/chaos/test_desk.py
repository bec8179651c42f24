"""Each fault of a day hits the process that it names, and everything comes back; an armed proxy ends itself."""

import asyncio
import time
import tomllib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from deploy.chaos.desk import ENDS_WITH, SERVICES, CutBroker, Desk
from deploy.chaos.pipeline import HEDGING
from deploy.chaos.timing import SCALE, shipped
from deploy.demo.rules import Price
from deploy.demo.trader import Refused, Trader
from deploy.demo.web import Hangup, Request, Response
from deploy.fleet import folder_mode
from ingest.settings import Ingest

PATIENCE_S = 60


@pytest.fixture
def passable(tmp_path: Path) -> Path:
    """A folder that PostgreSQL can pass, whoever it runs as."""
    tmp_path.chmod(folder_mode())
    return tmp_path


@pytest.fixture
async def desk(passable: Path) -> AsyncIterator[Desk]:
    """A desk with everything running."""
    found = Desk(passable / "desk", shipped().over(SCALE), HEDGING)
    try:
        await found.start()
        yield found
    finally:
        await found.stop()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.02)


async def trades(desk: Desk) -> None:
    """Trade once through the proxy, as soon as that is possible."""
    trader = Trader(desk.seat())
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await trader.place("EURUSD", "buy", "0.16")
                except (OSError, Refused):
                    await asyncio.sleep(0.05)
                else:
                    return
    finally:
        await trader.leave()


def test_days_side_by_side_listen_at_ports_of_their_own(tmp_path: Path) -> None:
    """Beside a user's own `up`, too."""
    listening = {Ingest().metrics}
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        Desk(folder, shipped().over(SCALE), HEDGING)._write_settings(1, folder / "ca.pem")
        told = tomllib.loads((folder / "tradecopier.toml").read_text())["ingest"]
        listening |= {told["listen"], told["metrics"]}

    assert len(listening) == 5


@pytest.mark.timeout(300)
async def test_every_service_is_there_and_each_ends_alone_and_is_started_again(desk: Desk) -> None:
    there = {name: desk.pids(name) for name in SERVICES}
    assert {name: len(pids) for name, pids in there.items()} == {name: 1 + (name == "terminal") for name in SERVICES}

    for name in ("ingest", "postgres"):
        await desk.restart(name)
    desk.kill("executor")
    await until(lambda: bool(set(desk.pids("executor")) - set(there["executor"])))

    assert {n for n in SERVICES if set(desk.pids(n)) != set(there[n])} == {"ingest", "postgres", "executor"}
    await trades(desk)

    desk.arm("replied", 1)
    while desk.armed:
        await trades(desk)
    assert desk.reached == {"proxy-dies-at-replied": 1}
    await trades(desk)


async def test_with_its_supervisor_everything_ends_and_is_started_again(desk: Desk) -> None:
    await trades(desk)
    before = {pid for name in SERVICES for pid in desk.pids(name)}

    await desk.kill_supervisor()

    after = {pid for name in SERVICES for pid in desk.pids(name)}
    assert len(after) == len(before)
    assert not after & before
    await trades(desk)
    assert len(desk.broker.books["10001"].orders) == 2
    assert any("TradeCopier runs" in file.read_text() for file in desk.logs())


def test_a_cut_reply_is_of_a_call_that_was_carried_out() -> None:
    broker = CutBroker(lambda _name, _now: Price(1, 2), time.time)  # type: ignore[arg-type]
    broker.cuts = 1
    headers = {"authorization": f"Bearer {broker.token}"}
    form = b"instrument=EURUSD&side=buy&qty=0.16&type=market"
    path, query = "/accounts/10001/orders", {"requestId": "1"}
    order = Request(method="POST", path=path, query=query, headers=headers, body=form)
    look = Request(method="GET", path=path, query={}, headers=headers, body=b"")

    assert isinstance(broker.answer(look), Response)
    assert isinstance(broker.answer(order), Hangup)
    assert isinstance(broker.answer(order), Response)
    assert len(broker.books["10001"].orders) == 2


def test_only_what_would_wait_for_its_clients_is_asked_in_another_way() -> None:
    assert set(ENDS_WITH) == {"postgres"}
