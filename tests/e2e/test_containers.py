"""compose.yaml in earnest: everything in containers, a trade through the published proxy, each container restarted."""

import http.client
import shutil
import ssl
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.demo.broker import ACCOUNTS
from deploy.demo.trader import Line, Seat, request_id
from tests.e2e.composing import PATIENCE_S, Composed, Containers
from tests.e2e.containers.broker import PORT, TOKEN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
SERVERS = ("redis", "postgres", "terminal-main", "prometheus", "alertmanager")
SERVICES = ("ingest", "archiver", "executor-any")
EDITED = {
    'host = "tradingview-api-client-demo.fusionmarkets.com"': f'host = "broker:{PORT}"',
    'account = "27269"': f'account = "{ACCOUNTS[0]}"',
    'mode = "shadow"': 'mode = "live"',
}
HELD = """
import msgspec
from deploy.demo import holdings
found = holdings.of_terminal("terminal-main:18812", 1001, "Simulator-Demo")
print(msgspec.json.encode(found).decode())
"""
ENDS = "select string_agg(result, ' ' order by committed) from outcomes where final and result <> 'ignored'"
"""What ended with an effect; that a fill is told by the polls too has none."""


class Browser(Line):
    """A trader's connection through a proxy that wants to be logged in to."""

    def __init__(self, seat: Seat, login: str) -> None:
        super().__init__(seat)
        self._login = "Basic " + b64encode(login.encode()).decode()

    def _opened(self) -> http.client.HTTPSConnection:
        seat = self._seat
        assert seat.proxy
        connection = http.client.HTTPSConnection(*seat.proxy, context=seat.context, timeout=30)
        connection.set_tunnel(seat.host, seat.port, {"Proxy-Authorization": self._login})
        return connection


@pytest.fixture(scope="module")
def composed() -> Iterator[Composed]:
    folder = Path(tempfile.mkdtemp(prefix="tradecopier-containers-"))
    try:
        containers = Containers(folder)
        containers.build(folder)
        found = Composed(containers, folder / "clone")
        found.prepare(EDITED)
        yield found
        found.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def browser(composed: Composed) -> Browser:
    data = composed.home / "data"
    context = ssl.create_default_context(cafile=data / "containers/ingest/proxy/mitmproxy-ca-cert.pem")
    seat = Seat(
        host="broker", port=PORT, account=ACCOUNTS[0], token=TOKEN, context=context, proxy=("127.0.0.1", 8080)
    )  # fmt: skip
    return Browser(seat, (data / "secrets/proxy").read_text().strip())


def positions(page: Browser) -> list[Any]:
    """What the page shows; it asks for both tables, as TradingView's does."""
    page.call("GET", f"/accounts/{ACCOUNTS[0]}/orders", {}, None)
    return list(page.call("GET", f"/accounts/{ACCOUNTS[0]}/positions", {}, None))


def look(page: Browser) -> None:
    """Let the page poll on a new connection, if it is let through: without, ingest says that it sees nothing."""
    page.hang_up()
    with suppress(OSError, http.client.HTTPException):
        positions(page)


def buy(page: Browser) -> None:
    form = {"instrument": "EURUSD", "side": "buy", "qty": "0.1", "type": "market"}
    page.call("POST", f"/accounts/{ACCOUNTS[0]}/orders", {"requestId": request_id()}, form)


def held(composed: Composed) -> list[Decimal]:
    found = msgspec.json.decode(composed.within("executor-any", "python", "-c", HELD))
    return [Decimal(str(holding["lots"])) for holding in found["holdings"]]


def ends(composed: Composed) -> list[str]:
    query = f'PGPASSWORD="$(cat /run/secrets/postgres)" psql -h 127.0.0.1 -U tradecopier -Atc "{ENDS}"'
    return composed.within("postgres", "sh", "-c", query).split()


def followed(composed: Composed, page: Browser, lots: list[Decimal], results: list[str]) -> None:
    """Return when the terminal holds this and the archive tells these ends; the page is looked at all the while."""
    deadline = time.monotonic() + PATIENCE_S
    while (found := (held(composed), ends(composed))) != (lots, results):
        assert time.monotonic() < deadline, (found, composed.log("executor-any"), composed.log("ingest"))
        positions(page)
        time.sleep(0.2)


def watched(composed: Composed) -> None:
    """Return when Prometheus scrapes every service; where executors are it asks every ten seconds."""
    wanted = {(service, "up") for service in ("ingest", "executor", "archiver")}
    deadline = time.monotonic() + PATIENCE_S
    while (found := scraped(composed)) != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(1)


def scraped(composed: Composed) -> set[tuple[str, str]]:
    said = composed.within("prometheus", "wget", "-qO-", "http://127.0.0.1:9090/api/v1/targets")
    targets = msgspec.json.decode(said)["data"]["activeTargets"]
    return {(target["labels"]["service"], target["health"]) for target in targets}


def test_everything_runs_together_and_each_container_can_be_restarted_between_trades(composed: Composed) -> None:
    composed.start("broker", *SERVERS)
    composed.healthy(*SERVERS)
    composed.start("prepare")
    assert composed.ended("prepare") == 0, composed.log("prepare")
    composed.start("reader", *SERVICES)
    assert composed.ended("reader") == 0, composed.log("reader")
    composed.healthy(*SERVICES)
    assert composed.published() == {"127.0.0.1:8080->8080/tcp"}

    page, lot = browser(composed), Decimal("0.1")
    for path in ("/config", "/accounts", f"/accounts/{ACCOUNTS[0]}/instruments", f"/accounts/{ACCOUNTS[0]}/state"):
        page.call("GET", path, {}, None)
    for _ in range(2):
        positions(page)
    buy(page)
    lots, results = [lot], ["filled"]
    followed(composed, page, lots, results)
    for service in (*SERVERS[:3], *SERVICES):
        composed.again(service)
        composed.healthy(service, meanwhile=partial(look, page))
        look(page)
        buy(page)
        lots, results = [*lots, lot], [*results, "filled"]
        followed(composed, page, lots, results)
    for position in positions(page):
        page.call("DELETE", f"/accounts/{ACCOUNTS[0]}/positions/{position['id']}", {}, None)
    followed(composed, page, [], results + ["closed"] * len(lots))
    page.close()

    watched(composed)
