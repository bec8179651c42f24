"""The settings of the demo, written anew for each run: free ports, two simulated accounts, one source that is ours."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from msgspec import Struct

from deploy import scraping, settings
from deploy.demo import authority
from deploy.demo.broker import ACCOUNTS, HOST, Broker
from deploy.demo.page import Page
from deploy.demo.rules import Price
from deploy.directory import free_port
from executor.mt5.simulator import market

SOURCE = "demo"
NAMESPACE = "demo"
SERVER = "Simulator-Demo"
SEED = 7
"""Broker and terminals take their prices from the same seeded feed, and so agree without talking to each other."""

CATALOGUE = market.catalogue()

Margin = Literal["hedging", "netting"]
MARGINS: Mapping[str, Margin] = {"hedging": "hedging", "netting": "netting"}
LOGINS: Mapping[str, int] = {"hedging": 1001, "netting": 1002}


class Scenery(Struct, frozen=True, kw_only=True):
    """Where everything is during one run. `folder` holds the settings and, in `data`, all that the services keep."""

    folder: Path
    proxy_port: int

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "demo.toml"

    @property
    def data(self) -> Path:
        """What `up` would call its data."""
        return self.folder / "data"

    @property
    def page(self) -> Path:
        """The certificates of the page's host."""
        return self.folder / "page"

    @property
    def proxy_ca(self) -> Path:
        """The certificate that the trader's browser has to trust."""
        return self.data / "proxy" / "mitmproxy-ca-cert.pem"


def write(scenery: Scenery, broker_port: int, broker_ca: Path, margins: Mapping[str, Margin] = MARGINS) -> None:
    """Write the settings file for a broker that listens already; `margins` names the accounts (some of MARGINS)."""
    accounts = "".join(_account(name, margin) for name, margin in margins.items())
    scenery.config.write_text(
        f"""# Written by `tradecopier demo`.
[redis]
namespace = "{NAMESPACE}"

[ingest]
listen = "127.0.0.1:{scenery.proxy_port}"
metrics = "127.0.0.1:{free_port()}"
upstream-ca-file = "{broker_ca}"

[ingest.sources.{SOURCE}]
protocol = "broker-rest"
host = "{HOST}:{broker_port}"
account = "{ACCOUNTS[0]}"
quantity-unit = "lots"
positions = "auto"

[executor]
metrics = "127.0.0.1:{free_port()}"
{accounts}
[archiver]
metrics = "127.0.0.1:{free_port()}"
""",
        encoding="utf-8",
    )


def how_to_look(scenery: Scenery, broker: Broker, page: Page) -> str:
    """How to trade by hand while everything keeps running."""
    pins = ",".join((authority.pin(scenery.proxy_ca), authority.pin(scenery.page / authority.SERVER_FILE)))
    return (
        "\nEverything keeps running until Ctrl-C. To trade by hand through the proxy:\n"
        f"  curl --proxy http://127.0.0.1:{scenery.proxy_port} --cacert {scenery.proxy_ca} \\\n"
        f"    -H 'Authorization: Bearer {broker.token}' -H 'Origin: https://www.tradingview.com' \\\n"
        "    -d 'instrument=EURUSD&qty=0.1&side=buy&type=market' \\\n"
        f"    'https://{HOST}:{broker.port}/accounts/{ACCOUNTS[0]}/orders?locale=en&requestId=abcdefghij'\n"
        "Or on a page, in a browser profile of its own that trusts the proxy and the page, and nothing is installed:\n"
        f"  chromium --user-data-dir={scenery.folder / 'browser'} \\\n"
        f"    --proxy-server=127.0.0.1:{scenery.proxy_port} '--proxy-bypass-list=<-loopback>' \\\n"
        f"    --ignore-certificate-errors-spki-list={pins} \\\n"
        f"    https://{HOST}:{page.port}/\n"
        "To watch it:\n"
        f"  python3 run.py status --watch --config {scenery.config}\n"
        f"  prometheus --config.file={scenery.data / 'prometheus' / 'prometheus.yml'}\n"
        f"  # which scrapes {_metrics(scenery)}\n"
        f"Settings: {scenery.config}   Logs: {scenery.data / 'log'}"
    )


def _metrics(scenery: Scenery) -> str:
    """Where the services serve their metrics, as the settings say."""
    found = scraping.addresses_of(settings.load(scenery.config, scenery.data, {}))
    return ", ".join(f"{service} {address}" for service, address in found.items())


def quoted(instrument: str, now: float) -> Price:
    """The broker's price: that of the simulated terminals' feed at the same moment."""
    quote = market.walk(CATALOGUE[instrument], SEED, int(now * 1000))
    return Price(quote.bid, quote.ask)


def _account(name: str, margin: Margin) -> str:
    return f"""
[executor.accounts.{name}]
sources = ["{SOURCE}"]
mode = "live"

[executor.accounts.{name}.terminal]
kind = "simulated"
login = {LOGINS[name]}
server = "{SERVER}"
margin-mode = "{margin}"
balance = 100000
currency = "USD"
seed = {SEED}
"""
