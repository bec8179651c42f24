"""What `up` leaves for Prometheus in the data folder: its configuration, the rules, and where our services are."""

import json
import shutil
from pathlib import Path

import deploy
from deploy.settings import Machine

FILES = ("prometheus.yml", "recording.yml", "alerts.yml")


def write(machine: Machine) -> None:
    """Write the folder anew. A service without `metrics`, or on a port that it chooses, is not in the targets."""
    folder = machine.data / "prometheus"
    (folder / "targets").mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(Path(deploy.__file__).with_name(name), folder / name)
    fresh = folder / "targets" / "tradecopier.json.new"
    fresh.write_text(json.dumps(targets(machine), indent=2) + "\n", encoding="utf-8")
    fresh.replace(fresh.with_name("tradecopier.json"))


def targets(machine: Machine) -> list[dict[str, object]]:
    """The services that can be scraped, in Prometheus' form of file-based discovery."""
    addresses = addresses_of(machine).items()
    namespace = machine.redis.namespace
    return [
        {"targets": [address], "labels": {"namespace": namespace, "service": service}} for service, address in addresses
    ]


def addresses_of(machine: Machine) -> dict[str, str]:
    """Where each service serves its metrics, by its name."""
    told = {
        "ingest": machine.ingest.metrics,
        "executor": machine.executor.metrics,
        "archiver": machine.archiver.metrics,
    }
    return {name: address for name, address in told.items() if address is not None and not address.endswith(":0")}
