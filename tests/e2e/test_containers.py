"""compose.yaml in earnest, by podman and by Docker: everything in containers, trades through the published proxy, each
container restarted between them. Grafana is stood in for. Needs root, the network, and of Debian podman, runc, buildah,
debootstrap and slirp4netns.
"""

import http.client
import shutil
import ssl
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, suppress
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.demo.broker import ACCOUNTS
from deploy.demo.trader import Line, Seat, request_id
from tests.deploy import composefile
from tests.deploy.imaging import SEEN_THERE, UNDER_WINE, said
from tests.e2e.composing import PATIENCE_S, USER, Composed
from tests.e2e.containers.broker import PORT, TOKEN
from tests.e2e.engines import Docker, Podman
from tests.e2e.rooms import Room
from tests.processes import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
SERVERS = ("redis", "postgres", "terminal-main", "prometheus", "alertmanager")
SERVICES = ("ingest", "archiver", "executor-any")
ALL = ("broker", *SERVERS, "prepare", *SERVICES, "reader", "grafana")
RUNNING = (*SERVERS, *SERVICES, "grafana")
EDITED = {
    'host = "tradingview-api-client-demo.fusionmarkets.com"': f'host = "broker:{PORT}"',
    'account = "27269"': f'account = "{ACCOUNTS[0]}"',
    'mode = "shadow"': 'mode = "live"',
    "# max-age = 10 ": "max-age = 120 ",
}
"""The last for a machine that is busy: what waited for a restart is old."""
HELD = """
import msgspec
from deploy.demo import holdings
found = holdings.of_terminal("terminal-main:18812", 1001, "Simulator-Demo")
print(msgspec.json.encode(found).decode())
"""
ENDS = "select string_agg(result, ' ' order by committed) from outcomes where final and result <> 'ignored'"
"""What ended with an effect; that a fill is told by the polls too has none."""
RIGHTS = (
    "id -u; grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/1/status | cut -f2; touch /here 2>/dev/null || echo refused"
)
NONE = "0" * 16
UNITS = {"M": 2**20, "G": 2**30}
OPERATOR = ("run", "--rm", "-T", "prepare", "--config", "/etc/tradecopier/tradecopier.toml")


class Browser(Line):
    """A trader's connection, from the room of the containers, through a proxy that wants to be logged in to."""

    def __init__(self, seat: Seat, login: str, room: Room) -> None:
        super().__init__(seat)
        self._login, self._room = "Basic " + b64encode(login.encode()).decode(), room

    def call(self, *words: Any) -> Any:
        """As a line does."""
        with self._room.network():
            return super().call(*words)

    def _opened(self) -> http.client.HTTPSConnection:
        seat = self._seat
        assert seat.proxy
        connection = http.client.HTTPSConnection(*seat.proxy, context=seat.context, timeout=30)
        connection.set_tunnel(seat.host, seat.port, {"Proxy-Authorization": self._login})
        return connection


@pytest.fixture(scope="module", params=[Podman, Docker])
def composed(request: pytest.FixtureRequest) -> Iterator[Composed]:
    """Everything, built and running."""
    folder, engine = Path(tempfile.mkdtemp(prefix="tradecopier-containers-")), None
    try:
        engine = request.param(folder)
        found = Composed(engine, folder / "clone")
        found.prepare(EDITED)
        begin(found)
        yield found
        found.compose("down", "--volumes")
    finally:
        if engine is not None:
            engine.stop()
        shutil.rmtree(folder)


def begin(composed: Composed) -> None:
    """As the page says; podman's composer would not wait for the health of what is needed."""
    if isinstance(composed.engine, Docker):
        composed.compose("up", "--build", "--detach")
        composed.settled(*ALL)
    else:
        composed.start(("broker", *SERVERS), ("prepare",), (*SERVICES, "reader"), ("grafana",))


def browser(composed: Composed) -> Browser:
    data = composed.home / "data"
    context = ssl.create_default_context(cafile=data / "containers/ingest/proxy/mitmproxy-ca-cert.pem")
    seat = Seat(
        host="broker", port=PORT, account=ACCOUNTS[0], token=TOKEN, context=context, proxy=("127.0.0.1", 8080)
    )  # fmt: skip
    return Browser(seat, (data / "secrets/proxy").read_text().strip(), composed.engine.room)


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


def test_trades_are_copied_and_each_container_can_be_restarted_between_them(composed: Composed) -> None:
    with closing(browser(composed)) as page:
        for path in ("/config", "/accounts", f"/accounts/{ACCOUNTS[0]}/instruments", f"/accounts/{ACCOUNTS[0]}/state"):
            page.call("GET", path, {}, None)
        for _ in range(2):
            positions(page)
        traded(composed, page)
        look(page)
        assert "account main: 1001@Simulator-Demo" in composed.compose(*OPERATOR, "status")
    watched(composed)


def traded(composed: Composed, page: Browser) -> None:
    """An opening, one more after the restart of each container, and the end of them all."""
    buy(page)
    lot = Decimal("0.1")
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


def test_no_container_has_a_right_or_writes_where_it_lives(composed: Composed) -> None:
    for service in RUNNING:
        assert composed.within(service, "sh", "-c", RIGHTS).split() == [str(USER), NONE, NONE, "1", "refused"], service


def test_a_container_has_the_limits_that_the_file_gives_it(composed: Composed) -> None:
    form = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}"
    for service in RUNNING:
        given = composefile.read().services[service].deploy
        assert given
        limits = given.resources.limits
        wanted = [int(limits.memory[:-1]) * UNITS[limits.memory[-1]], int(float(limits.cpus) * 10**9), limits.pids]
        found = said([*composed.engine.program, "inspect", "--format", form, composed.name(service)]).split()
        assert [int(each) for each in found] == wanted, service


def test_only_the_proxy_and_the_dashboards_are_published_and_only_here(composed: Composed) -> None:
    assert composed.published() == {"127.0.0.1:8080->8080/tcp", "127.0.0.1:3000->3000/tcp"}


def test_servers_have_no_way_out_and_are_known_only_where_they_are_needed(composed: Composed) -> None:
    for server in ("redis", "postgres", "prometheus"):
        assert composed.within(server, "sh", "-c", "cut -f2 /proc/net/route | grep -c ^00000000$ || true") == "0"
    for service, server in (("executor-any", "postgres"), ("grafana", "redis"), ("archiver", "terminal-main")):
        assert composed.within(service, "sh", "-c", f"getent hosts {server} || echo unknown") == "unknown"


def test_grafana_finds_what_it_is_given(composed: Composed) -> None:
    with composed.engine.room.network(), urllib.request.urlopen("http://127.0.0.1:3000/api/health") as page:
        found = msgspec.json.decode(page.read())
    assert len(found["boards"]) == len(list((ROOT / "grafana/dashboards").glob("*.json")))
    assert found["sources"].keys() == {"tradecopier-prometheus", "tradecopier-postgres"}
    assert found["admin"] == len((composed.home / "data/secrets/grafana").read_text().strip())


def test_what_watches_takes_its_files(composed: Composed) -> None:
    assert "2 rule files found" in composed.within(
        "prometheus", "promtool", "check", "config", "/etc/prometheus/prometheus.yml"
    )
    assert "SUCCESS" in composed.within("alertmanager", "amtool", "check-config", "/etc/alertmanager/alertmanager.yml")


def test_beside_a_terminal_programs_of_windows_run_in_a_container_without_rights(composed: Composed) -> None:
    service = composefile.read().services["executor-main"]
    assert service.build
    composed.engine.make(composed.home, service.build.target, service.image)
    run = partial(composed.compose, "run", "--rm", "-T", "--no-deps", profile="real")
    assert "tradecopier" in run("executor-main", "--version")
    printed = run("--entrypoint", "sh", "executor-main", "-euc", UNDER_WINE)
    assert [line.strip() for line in printed.splitlines() if line.strip() in SEEN_THERE] == SEEN_THERE
