"""What `up` leaves for Prometheus in the data folder: its configuration, the rules, and where our services are."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import deploy
from deploy.settings import Machine

FILES = ("prometheus.yml", "recording.yml", "alerts.yml")
NONE: Mapping[str, str] = {}


def write(machine: Machine) -> None:
    """Write the folder anew. A service without `metrics`, or on a port that it chooses, is not in the targets."""
    folder = machine.data / "prometheus"
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(Path(deploy.__file__).with_name(name), folder / name)
    tell(machine)


def tell(machine: Machine, more: Mapping[str, str] = NONE) -> None:
    """Write where the services are. `more` are those that came while everything ran, by name."""
    fresh = machine.data / "prometheus" / "targets" / "tradecopier.json.new"
    fresh.write_text(json.dumps(targets(machine, more), indent=2) + "\n", encoding="utf-8")
    fresh.replace(fresh.with_name("tradecopier.json"))


def targets(machine: Machine, more: Mapping[str, str] = NONE) -> list[dict[str, object]]:
    """The services that can be scraped, in Prometheus' form of file-based discovery."""
    namespace = machine.redis.namespace
    return [
        {"targets": [address], "labels": {"namespace": namespace, "service": service}}
        for service, address in {**addresses_of(machine), **more}.items()
    ]


def addresses_of(machine: Machine) -> dict[str, str]:
    """Where each service serves its metrics, by its name."""
    told = {
        "ingest": machine.ingest.metrics,
        "executor": machine.executor.metrics,
        "archiver": machine.archiver.metrics,
    }
    return {name: address for name, address in told.items() if address is not None and not address.endswith(":0")}
