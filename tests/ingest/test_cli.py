import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from ingest.cli import cli
from tests.ingest.test_tap import har
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


def test_a_recording_is_explained(config: Path, tmp_path: Path) -> None:
    result = run(config, "explain", str(har(tmp_path / "trades.har")))
    assert "order.placed EURUSD order 77: buy 0.1" in result.output


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
