"""compose.yaml as docs/containers.md has it: a clone, prepared by the page's own commands, whose services run as
containers of an engine.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.demo import authority
from tests.deploy.imaging import said
from tests.docs.pages import blocks, clone
from tests.e2e.engines import STAND_INS, Engine
from tests.processes import ROOT

USER = 10001
PATIENCE_S = 180
ONCE = ("prepare", "reader")
"""Services that do something once and end."""


class Composed:
    """The clone and its containers; nothing runs yet."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.home, self.engine = clone(folder), engine
        engine.prepare(self.home)
        files = (self.home / "deploy/compose.yaml", self.home / STAND_INS / "broker.yaml")
        self._composer = [*engine.composer(self.home), *(word for file in files for word in ("--file", str(file)))]

    def prepare(self, settings: dict[str, str]) -> None:
        """Run the page's own block as if by a user, then edit the settings: what is written, and what is put there."""
        (block,) = [block for block in blocks(ROOT / "docs/containers.md") if block.language == "sh"]
        environment = {**os.environ, "PYTHONPATH": ""}
        subprocess.run(["sh", "-ec", block.text], cwd=self.home, env=environment, check=True, stdout=subprocess.DEVNULL)
        text = (file := self.home / "tradecopier.toml").read_text()
        for old, new in settings.items():
            assert old in text, old
            text = text.replace(old, new)
        file.write_text(text)
        (who := self.home / "deploy/.env").write_text(who.read_text().replace("=0:0", f"={USER}:{USER}"))
        (broker := self.home / "data/broker").mkdir()
        authority.issue(broker, "broker", datetime.now(UTC))
        shutil.copy(self.home / STAND_INS / "broker.py", broker)
        for path in (file, self.home / "data", *(self.home / "data").rglob("*")):
            os.chown(path, USER, USER)

    def compose(self, *words: str, profile: str = "simulated") -> str:
        """What the composer prints."""
        command = [*self._composer, "--profile", profile, *words]
        return said(["nice", *command])

    def start(self, *stages: tuple[str, ...]) -> None:
        """Start containers when it is their turn: podman's composer does not wait for the health of what they need."""
        for services in stages:
            self.compose("up", "--no-build", "--detach", "--no-deps", *services)
            self.engine.steady()
            self.settled(*services)

    def settled(self, *services: str) -> None:
        """Return when each is in good health, or has ended well where it ends by itself."""
        for service in services:
            if service in ONCE:
                assert said([*self.engine.program, "wait", self.name(service)]) == "0", self.log(service)
            else:
                self.healthy(service)

    def healthy(self, service: str, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Return when its health check in compose.yaml is content. Fails after three minutes."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.engine.healthy(self.name(service)):
            assert time.monotonic() < deadline, f"{service}: {self.log(service)}"
            meanwhile()
            time.sleep(0.5)

    def within(self, service: str, *command: str) -> str:
        """What a command says inside the service's container."""
        return said([*self.engine.program, "exec", self.name(service), *command])

    def again(self, service: str) -> None:
        """Stop a container within its time and start it again."""
        said([*self.engine.program, "restart", self.name(service)])

    def log(self, service: str) -> str:
        """What a container has said."""
        command = [*self.engine.program, "logs", self.name(service)]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        return found.stdout[-3000:] + found.stderr[-3000:]

    def published(self) -> set[str]:
        """Where containers are reached from outside."""
        lines = said([*self.engine.program, "ps", "--format", "{{.Ports}}"]).splitlines()
        return {place for line in lines for place in line.split(", ") if place}

    def name(self, service: str) -> str:
        """The first container of a service."""
        return self.engine.parts.join(("tradecopier", service, "1"))
