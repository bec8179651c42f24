"""What `up` leaves for Prometheus: the files as they are kept, and only services that can be found."""

import json
from pathlib import Path

import deploy
from deploy import scraping, settings

ACCOUNTS = """
[redis]
namespace = "desk"
[ingest]
metrics = "127.0.0.1:9101"
[ingest.sources.demo]
protocol = "broker-rest"
host = "broker.example"
account = "1"
quantity-unit = "lots"
[executor]
metrics = "127.0.0.1:0"
[executor.accounts.main]
sources = ["demo"]
[executor.accounts.main.terminal]
kind = "simulated"
"""


def machine(folder: Path, text: str = ACCOUNTS) -> settings.Machine:
    path = folder / "tradecopier.toml"
    path.write_text(text)
    return settings.load(path, None, {})


def test_services_are_listed_where_they_can_be_found(tmp_path: Path) -> None:
    """The executor chooses its port itself, the archiver has none."""
    found = scraping.targets(machine(tmp_path))

    assert found == [{"targets": ["127.0.0.1:9101"], "labels": {"namespace": "desk", "service": "ingest"}}]


def test_who_came_while_everything_ran_is_listed_with_the_others(tmp_path: Path) -> None:
    found = scraping.targets(machine(tmp_path), {"executor-late": "127.0.0.1:4711"})

    assert [each["labels"] for each in found] == [
        {"namespace": "desk", "service": name} for name in ("ingest", "executor-late")
    ]


def test_the_folder_is_written_anew_at_each_start(tmp_path: Path) -> None:
    scraping.write(machine(tmp_path))
    scraping.write(machine(tmp_path, ACCOUNTS + '[archiver]\nmetrics = "127.0.0.1:9103"\n'))

    folder = tmp_path / "data" / "prometheus"
    told = json.loads((folder / "targets" / "tradecopier.json").read_text())
    assert [each["labels"]["service"] for each in told] == ["ingest", "archiver"]
    for name in scraping.FILES:
        assert (folder / name).read_text() == (Path(deploy.__file__).parent / name).read_text()
