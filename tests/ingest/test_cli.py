import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from mitmproxy.io import FlowReader, FlowWriter

from ingest.cli import cli
from ingest.exchange import Exchange
from ingest.flows import recorded as flows
from ingest.recording import Recorder, Wish, ask
from shared.process import UserError
from tests.ingest.samples import START
from tests.ingest.test_flows import har
from tests.processes import ROOT

SETTINGS = """
[ingest]
listen = "127.0.0.1:8181"
[ingest.sources.demo]
host = "broker.example"
account = "10001"
quantity-unit = "lots"
positions = "hedging"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "tradecopier.toml"
    path.write_text(SETTINGS)
    return path


def run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, obj=config, catch_exceptions=False)


@pytest.mark.parametrize(("option", "way"), [((), "; DIRECT"), (("--on-proxy-down", "fail"), "")])
def test_the_pac_file_follows_the_settings_unless_it_is_told_otherwise(
    config: Path, option: tuple[str, ...], way: str
) -> None:
    result = run(config, "pac", *option)
    assert f'"PROXY 127.0.0.1:8181{way}"' in result.output
    assert '"broker.example"' in result.output


def flow_file(path: Path) -> Path:
    """The same recording as mitmproxy saves one."""
    with har(path.with_suffix(".har")).open("rb") as saved, path.open("wb") as file:
        writer = FlowWriter(file)
        for flow in FlowReader(saved).stream():
            writer.add(flow)
    return path


def our_own(path: Path) -> Path:
    """The same recording as `ingest record` makes one."""
    recorder = Recorder(path.parent)
    ask(path.parent, Wish(file=str(path), until=START + timedelta(hours=1), everything=True))
    recorder.look(START)
    for _, heard in flows(har(path.with_suffix(".har"))):
        if isinstance(heard, Exchange) and heard.status is not None:
            recorder.heard(heard, is_known=True)
    recorder.close()
    return path


@pytest.mark.parametrize("recording", [har, flow_file, our_own])
def test_a_recording_is_explained(config: Path, tmp_path: Path, recording: Callable[[Path], Path]) -> None:
    result = run(config, "explain", str(recording(tmp_path / "trades")))
    assert "order.placed EURUSD order 77: buy 0.1" in result.output
    assert result.output.count("POST /accounts/10001/orders") == 2


def test_a_recording_that_was_cut_off_is_explained_up_to_there(config: Path, tmp_path: Path) -> None:
    path = flow_file(tmp_path / "trades")
    path.write_bytes(path.read_bytes() + b"100:cut off")
    result = CliRunner().invoke(cli, ["explain", str(path)], obj=config)
    assert "order.placed EURUSD order 77: buy 0.1" in result.output
    assert isinstance(result.exception, UserError)
    assert "cut off" in str(result.exception)


def test_a_recording_of_nothing_is_said(config: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    assert run(config, "explain", str(tmp_path / "empty")).output == "nothing is recorded in it\n"


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "127.0.0.1:0"])
def test_a_pac_file_sends_no_browser_to_an_address_that_is_none(
    config: Path, listen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADECOPIER_INGEST__LISTEN", listen)
    monkeypatch.setenv("TRADECOPIER_INGEST__PROXY_AUTH", "me:hush")
    result = CliRunner().invoke(cli, ["pac"], obj=config)
    assert "say where it is with --proxy" in str(result.exception)
    assert "PROXY desk.example:8080" in run(config, "pac", "--proxy", "desk.example:8080").output
    without_port = CliRunner().invoke(cli, ["pac", "--proxy", "desk.example"], obj=config)
    assert "--proxy must be host:port" in str(without_port.exception)


def test_a_broker_and_a_proxy_may_be_addresses_of_ipv6(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADECOPIER_INGEST__SOURCES__DEMO__HOST", "[2001:DB8::0A]:8443/api")
    monkeypatch.setenv("TRADECOPIER_INGEST__LISTEN", "[::1]:8181")
    text = run(config, "pac").output
    assert '"2001:db8::a"' in text
    assert '"[2001:db8::a]"' in text
    assert '"PROXY [::1]:8181; DIRECT"' in text
    assert '"PROXY [2001:DB8::1]:8080; DIRECT"' in run(config, "pac", "--proxy", "[2001:DB8::1]:8080").output
    assert "--proxy-server=http://[::1]:8181" in run(config, "browser", "--print", "--program", "browser").output


def test_the_browsers_command_is_printed_and_hands_on_what_it_is_told(config: Path) -> None:
    result = run(config, "browser", "--print", "--program", "my browser", "--", "--incognito")
    assert result.output.startswith(f"'my browser' --user-data-dir={config.parent}/data/proxy/browser ")
    assert "--proxy-server=http://127.0.0.1:8181 --ignore-certificate-errors-spki-list=" in result.output
    assert "--incognito https://www.tradingview.com/chart/" in result.output


def test_a_recording_is_asked_for_and_the_wish_is_gone_at_its_end(config: Path) -> None:
    outbox = config.parent / "data/outbox"
    outbox.mkdir(parents=True)
    result = run(config, "record", str(config.parent / "out.jsonl"), "--minutes", "0.01")
    assert "nothing was recorded: does the proxy run with these settings?" in result.output
    assert list(outbox.iterdir()) == []


def test_the_certificate_is_shown_with_what_chromium_wants(config: Path) -> None:
    result = run(config, "certificate", "show")
    assert "--ignore-certificate-errors-spki-list=" in result.output
    assert str(config.parent / "data/proxy/mitmproxy-ca-cert.pem") in result.output


def test_every_command_says_what_it_does() -> None:
    def commands(group: click.Group) -> list[click.Command]:
        return [c for m in group.commands.values() for c in (commands(m) if isinstance(m, click.Group) else [m])]

    assert all(command.help for command in commands(cli))


def test_help_needs_none_of_the_heavy_libraries() -> None:
    heavy = (
        "import sys, ingest.cli; sys.exit(any(m in sys.modules for m in ('mitmproxy', 'redis', 'prometheus_client')))"
    )
    assert subprocess.run([sys.executable, "-c", heavy], cwd=ROOT, check=False).returncode == 0
