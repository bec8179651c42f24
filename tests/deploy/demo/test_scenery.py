"""The settings that the demo writes for itself."""

import time
from pathlib import Path

from deploy import settings
from deploy.demo import scenery
from deploy.demo.rules import INSTRUMENTS
from deploy.demo.scenery import Scenery
from executor.mt5.simulator import market
from executor.mt5.simulator.market import Feed


def test_the_settings_can_be_used_and_say_what_the_demo_promises(tmp_path: Path) -> None:
    place = Scenery(folder=tmp_path, proxy_port=8081)
    scenery.write(place, 4443, tmp_path / "ca.pem")
    machine = settings.load(place.config, place.data, {})
    assert machine.ingest.listen == "127.0.0.1:8081"
    assert machine.ingest.sources["demo"].host == "localhost:4443"
    assert all(account.live for account in machine.executor.accounts.values())
    margins = {name: terminal.margin_mode for name, terminal in machine.simulated.items()}
    assert margins == {"hedging": "hedging", "netting": "netting"}
    assert {terminal.seed for terminal in machine.simulated.values()} == {scenery.SEED}
    assert place.proxy_ca.is_relative_to(machine.data)


def test_two_demos_share_no_port(tmp_path: Path) -> None:
    ports: set[str] = set()
    for name, port in (("a", 1), ("b", 2)):
        (tmp_path / name).mkdir()
        place = Scenery(folder=tmp_path / name, proxy_port=port)
        scenery.write(place, 4443, tmp_path / "ca.pem")
        machine = settings.load(place.config, place.data, {})
        ports |= {machine.ingest.listen, machine.ingest.metrics, str(machine.executor.metrics)}
    assert len(ports) == 6


def test_broker_and_terminals_quote_the_same_price_at_the_same_moment() -> None:
    now = time.time()
    for instrument in INSTRUMENTS:
        quote = Feed(scenery.SEED).quote(market.catalogue()[instrument.name], int(now * 1000))
        price = scenery.quoted(instrument.name, now)
        assert (price.bid, price.ask) == (quote.bid, quote.ask)
