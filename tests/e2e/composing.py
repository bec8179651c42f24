"""compose.yaml run by podman in a store of its own; what registries would give is made of Debian's packages."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import authority
from tests.deploy import composefile, imaging
from tests.deploy.imaging import said
from tests.docs.pages import blocks, clone
from tests.processes import ROOT

HERE = Path(__file__).parent / "containers"
OURS = "tradecopier:0.1.0"
USER = 10001
SETTINGS = """[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
[network]
network_config_dir = "{0}/networks"
"""
STORE = """[storage]
driver = "overlay"
graphroot = "{0}/store"
runroot = "{0}/run"
"""
PATIENCE_S = 180


class Containers:
    """The images, once built, and what podman is told so that it touches nobody else's."""

    def __init__(self, folder: Path) -> None:
        (folder / "containers.conf").write_text(SETTINGS.format(folder))
        (folder / "storage.conf").write_text(STORE.format(folder))
        self._told = {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "TRADECOPIER_USER": f"{USER}:{USER}",
        }
        os.environ.update(self._told)
        self.podman, self.buildah = imaging.tool("podman", "podman"), imaging.tool("buildah", "buildah")
        imaging.tool("runc", "runc")

    def build(self, folder: Path) -> None:
        """Ours from the Dockerfile, the others as compose.yaml names them."""
        imaging.lay_base([self.buildah], folder / "base")
        imaging.build([self.buildah], imaging.FILE, ROOT, "tradecopier", f"docker.io/library/{OURS}")
        for name, image in self._others():
            imaging.build([self.buildah], HERE / "Dockerfile", HERE, name, image)

    @staticmethod
    def _others() -> list[tuple[str, str]]:
        made = {"redis": "valkey", "postgres": "postgres", "prometheus": "prometheus", "alertmanager": "alertmanager"}
        images = {name: service.image for name, service in composefile.read().services.items()}
        return [(made[name], f"docker.io/{'' if '/' in images[name] else 'library/'}{images[name]}") for name in made]


class Composed:
    """A clone, prepared as the page says, whose services run as containers. Grafana cannot be had here."""

    def __init__(self, containers: Containers, folder: Path) -> None:
        self.home = clone(folder)
        self._podman = containers.podman
        composer = shutil.which(
            "podman-compose", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        )
        assert composer
        files = (self.home / "deploy/compose.yaml", HERE / "broker.yaml")
        self._composer = [
            composer,
            *(word for file in files for word in ("--file", str(file))),
            "--profile",
            "simulated",
        ]

    def prepare(self, settings: dict[str, str]) -> None:
        """Run the page's own block, then edit the settings: what is written, and what is put in its place."""
        (block,) = [block for block in blocks(ROOT / "docs/containers.md") if block.language == "sh"]
        environment = {**os.environ, "PYTHONPATH": ""}
        subprocess.run(["sh", "-ec", block.text], cwd=self.home, env=environment, check=True, stdout=subprocess.DEVNULL)
        text = (file := self.home / "tradecopier.toml").read_text()
        for old, new in settings.items():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text)
        (broker := self.home / "data/broker").mkdir()
        authority.issue(broker, "broker", datetime.now(UTC))
        shutil.copy(HERE / "broker.py", broker)
        for path in (file, self.home / "data", *(self.home / "data").rglob("*")):
            os.chown(path, USER, USER)

    def start(self, *services: str) -> None:
        """Start containers whose turn it is: podman's composer does not wait for the health of what they need."""
        said([*self._composer, "up", "--no-build", "--detach", "--no-deps", *services])

    def ended(self, service: str) -> int:
        """How a service that ends by itself has ended."""
        return int(said([self._podman, "wait", self.name(service)]))

    def healthy(self, *services: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return when the health checks of compose.yaml are content. Fails after three minutes."""
        for service in services:
            deadline = time.monotonic() + PATIENCE_S
            look = [self._podman, "healthcheck", "run", self.name(service)]
            while subprocess.run(look, capture_output=True, check=False).returncode:
                assert time.monotonic() < deadline, f"{service}: {self.log(service)}"
                meanwhile()
                time.sleep(0.5)

    def within(self, service: str, *command: str) -> str:
        """What a command says inside the service's container."""
        return said([self._podman, "exec", self.name(service), *command])

    def again(self, service: str) -> None:
        """Stop a container within its time and start it again."""
        said([self._podman, "restart", self.name(service)])

    def log(self, service: str) -> str:
        """What a container has said."""
        found = subprocess.run([self._podman, "logs", self.name(service)], capture_output=True, text=True, check=False)
        return found.stdout[-3000:] + found.stderr[-3000:]

    def published(self) -> set[str]:
        """Where containers are reached from outside."""
        return set(said([self._podman, "ps", "--format", "{{.Ports}}"]).split()) - {""}

    def stop(self) -> None:
        """End everything, and take it away."""
        said([*self._composer, "down", "--volumes"])

    @staticmethod
    def name(service: str) -> str:
        return f"tradecopier_{service}_1"
