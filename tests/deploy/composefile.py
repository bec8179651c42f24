"""The parts of the Compose Specification that compose.yaml uses, as strict types: what is not in here is a mistake."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

import deploy
from tests.deploy.rules import loaded

FILE = Path(deploy.__file__).with_name("compose.yaml")
Duration = Annotated[str, Meta(pattern=r"^(\d+h)?(\d+m)?(\d+s)?$", min_length=2)]
Size = Annotated[str, Meta(pattern=r"^\d+([kmgKMG][bB]?|[bB])$")]
Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9._-]+$")]
Port = Annotated[str, Meta(pattern=r"^(\d+\.\d+\.\d+\.\d+:)?\d+:\d+$")]


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mapping of the file."""


class Logging(Part, frozen=True, kw_only=True):
    driver: Literal["json-file", "local", "journald"]
    options: dict[str, str] = {}


class Build(Part, frozen=True, kw_only=True):
    context: str
    dockerfile: str
    target: str = ""


class Mount(Part, frozen=True, kw_only=True):
    type: Literal["bind", "volume", "tmpfs"]
    source: str
    target: Annotated[str, Meta(pattern="^/")]
    read_only: bool = False


class Granted(Part, frozen=True, kw_only=True):
    source: str
    target: str


class After(Part, frozen=True, kw_only=True):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]


class Attachment(Part, frozen=True, kw_only=True):
    aliases: list[Name] = []


class Healthcheck(Part, frozen=True, kw_only=True):
    test: Annotated[list[str], Meta(min_length=2)]
    interval: Duration
    timeout: Duration
    start_period: Duration
    retries: int = 3


class Limits(Part, frozen=True, kw_only=True):
    cpus: Annotated[str, Meta(pattern=r"^\d+\.\d+$")]
    memory: Size
    pids: Annotated[int, Meta(ge=1)]


class Resources(Part, frozen=True, kw_only=True):
    limits: Limits


class Deploy(Part, frozen=True, kw_only=True):
    resources: Resources
    replicas: Annotated[int, Meta(ge=1)] = 1


class Service(Part, frozen=True, kw_only=True):
    """A service, after its `<<` have been laid over each other."""

    image: Annotated[str, Meta(pattern=r"^[a-z0-9./-]+:[a-z0-9.-]+$")]
    build: Build | None = None
    profiles: list[Name] = []
    entrypoint: list[str] = []
    command: list[str] = []
    user: str = ""
    read_only: bool = False
    init: bool = False
    cap_drop: list[str] = []
    security_opt: list[str] = []
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    logging: Logging | None = None
    tmpfs: list[str] = []
    shm_size: Size | None = None
    stop_grace_period: Duration = "10s"
    environment: dict[str, str] = {}
    secrets: list[Name | Granted] = []
    volumes: list[Mount] = []
    ports: list[Port] = []
    depends_on: dict[Name, After] = {}
    networks: list[Name] | dict[Name, Attachment] = []
    healthcheck: Healthcheck | None = None
    deploy: Deploy | None = None

    @property
    def ends(self) -> bool:
        """Whether it does something once and ends."""
        return self.restart == "no"

    def granted(self) -> Iterator[tuple[str, str]]:
        """Each secret with the file that it is in the container."""
        for secret in self.secrets:
            if isinstance(secret, Granted):
                yield secret.source, secret.target
            else:
                yield secret, f"/run/secrets/{secret}"

    def text(self) -> str:
        """All that it is told."""
        return "\n".join([*self.entrypoint, *self.command, *self.environment.values()])


class Network(Part, frozen=True, kw_only=True):
    internal: bool = False


class SecretFile(Part, frozen=True, kw_only=True):
    file: str


class Compose(Part, frozen=True, kw_only=True):
    """The file."""

    name: Name
    services: dict[Name, Service]
    networks: dict[Name, Network]
    secrets: dict[Name, SecretFile]


def read(path: Path = FILE) -> Compose:
    """The file, decoded strictly. Raises msgspec.ValidationError."""
    written: dict[str, Any] = loaded(path)
    return msgspec.convert({k: v for k, v in written.items() if not k.startswith("x-")}, Compose)


def variables(text: str) -> set[str]:
    """What Compose would replace: `${NAME…}`; a doubled dollar sign stands for itself."""
    return set(re.findall(r"(?<!\$)\$\{?([A-Za-z_]\w*)", text))
