"""Container engines that run compose.yaml, each in a room of its own with images that it has built: podman, which this
machine has, and Docker's own in a Debian that is put into a folder. What registries would give is made of Debian's
packages.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar, Protocol

from shared.process import end, spawn
from tests.deploy import composefile, imaging
from tests.deploy.imaging import said
from tests.e2e.rooms import Room

STAND_INS = Path("tests/e2e/containers")
DOCKERFILE = "deploy/Dockerfile"
OURS = "tradecopier:0.1.0"
CONTAINERS = """[containers]
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
DOCKER = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "iptables")
BUILD_S = 60


class Engine(Protocol):
    """What a test asks of an engine. All commands are run in its room."""

    room: Room
    program: list[str]
    """The engine's own command line."""
    parts: ClassVar[str]
    """What stands between the parts of a container's name."""

    def prepare(self, home: Path) -> None:
        """Have all images that the composer would not build from the clone."""

    def make(self, home: Path, target: str, image: str) -> None:
        """Build a target of our Dockerfile."""

    def composer(self, home: Path) -> list[str]:
        """What understands compose.yaml."""

    def steady(self) -> None:
        """See that what was started stays reachable."""

    def healthy(self, container: str) -> bool:
        """Whether the container's health check is content."""

    def stop(self) -> None:
        """End it, and all that it runs."""


def stood_in() -> list[tuple[str, str]]:
    """Each stage of the stand-ins with the image in whose place it is."""
    made = {"redis": "valkey", **{name: name for name in ("postgres", "prometheus", "alertmanager", "grafana")}}
    images = {name: service.image for name, service in composefile.read().services.items()}
    return [(stage, images[name]) for name, stage in made.items()]


class Podman:
    """This machine's podman with a store of its own."""

    parts = "_"

    def __init__(self, folder: Path) -> None:
        (folder / "containers.conf").write_text(CONTAINERS.format(folder))
        (folder / "storage.conf").write_text(STORE.format(folder))
        for name, package in (("podman", "podman"), ("buildah", "buildah"), ("runc", "runc"), ("ip", "iproute2")):
            imaging.tool(name, package)
        self._folder, self.room = folder, Room(folder)
        told = {"CONTAINERS_CONF": "containers.conf", "CONTAINERS_STORAGE_CONF": "storage.conf"}
        self._told = [f"{name}={folder / file}" for name, file in told.items()]
        self.program = self._entered("podman")

    def _entered(self, *command: str) -> list[str]:
        return self.room.entered("env", *self._told, *command)

    def prepare(self, home: Path) -> None:
        """Ours from the Dockerfile, the others as compose.yaml names them."""
        buildah = self._entered("buildah")
        imaging.lay_base(buildah, self._folder / "base")
        self.make(home, "tradecopier", OURS)
        context = home / STAND_INS
        for stage, image in stood_in():
            tag = f"docker.io/{'' if '/' in image else 'library/'}{image}"
            imaging.build(buildah, context / "Dockerfile", context, stage, tag)

    def make(self, home: Path, target: str, image: str) -> None:
        """By buildah."""
        imaging.build(self._entered("buildah"), home / DOCKERFILE, home, target, f"docker.io/library/{image}")

    def composer(self, home: Path) -> list[str]:
        """podman-compose, of the environment that runs the tests."""
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        found = shutil.which("podman-compose", path=path)
        assert found
        return self._entered(found)

    def steady(self) -> None:
        """Keep the addresses of bridges: left alone, they change with every container that comes or goes, and who knew
        one finds no name for the better part of a minute.
        """
        for bridge in json.loads(said(self.room.entered("ip", "-json", "link", "show", "type", "bridge")) or "[]"):
            if bridge.get("address"):
                said(self.room.entered("ip", "link", "set", "dev", bridge["ifname"], "address", bridge["address"]))

    def healthy(self, container: str) -> bool:
        """Nobody else asks: that would be systemd."""
        look = [*self.program, "healthcheck", "run", container]
        return subprocess.run(look, capture_output=True, check=False).returncode == 0

    def stop(self) -> None:
        """The room ends what is left."""
        self.room.close()


class Docker:
    """Docker's engine, its builder and its Compose, as Debian 13 has them."""

    parts = "-"

    def __init__(self, folder: Path) -> None:
        self._folder, machine = folder, folder / "machine"
        imaging.lay_debian(machine, *DOCKER)
        self.room = Room(folder, machine)
        self._daemon: subprocess.Popen[bytes] | None = None
        self.program = self.room.entered("env", f"DOCKER_HOST=unix://{folder}/docker.sock", "HOME=/root", "docker")
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        places = {"--data-root": "docker", "--exec-root": "exec", "--pidfile": "docker.pid"}
        told = [word for flag, name in places.items() for word in (flag, str(self._folder / name))]
        command = self.room.entered("dockerd", *told, "--host", f"unix://{self._folder}/docker.sock")
        with (self._folder / "docker.log").open("wb") as log:
            self._daemon = spawn(command, stdout=log.fileno(), stderr=log.fileno())
        deadline = time.monotonic() + BUILD_S
        while subprocess.run([*self.program, "version"], capture_output=True, check=False).returncode:
            assert self._daemon.poll() is None, (self._folder / "docker.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (self._folder / "docker.log").read_text()[-3000:]
            time.sleep(0.2)

    def prepare(self, home: Path) -> None:
        """All but ours, which Compose builds. Nothing of this machine's is seen while building: the base has it."""
        base = self._folder / "base"
        imaging.lay_debian(base)
        if imaging.PIP.exists():
            shutil.copy(imaging.PIP, base / "etc")
        imported = " ".join([*self.program[self.program.index("env") :], "import", "-", imaging.base()])
        said(self.room.entered("sh", "-euc", f"tar -C {base} -c . | {imported}"))
        for stage, image in stood_in():
            said([*self.program, "build", "--quiet", "--target", stage, "--tag", image, str(home / STAND_INS)])

    def make(self, home: Path, target: str, image: str) -> None:
        """By its builder."""
        told = ["--quiet", "--file", str(home / DOCKERFILE), "--target", target, "--tag", image]
        said(["nice", *self.program, "build", *told, str(home)])

    def composer(self, home: Path) -> list[str]:
        """Its plugin."""
        return [*self.program, "compose"]

    def steady(self) -> None:
        """It does."""

    def healthy(self, container: str) -> bool:
        """The engine asks by itself, as often as compose.yaml says."""
        return said([*self.program, "inspect", "--format", "{{.State.Health.Status}}", container]) == "healthy"

    def stop(self) -> None:
        """The room ends the daemon and what it runs."""
        self.room.close()
        if self._daemon is not None:
            end(self._daemon, [])
