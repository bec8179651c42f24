"""Images for tests that build them: the base is what debootstrap makes, since no registry is within reach."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.deploy.dockerfile import stages
from tests.processes import ROOT

FILE = ROOT / "deploy" / "Dockerfile"


def tool(name: str, package: str) -> str:
    """Where a program that only root can use is; the test is skipped when it is not there."""
    found = shutil.which(name)
    if found is None or os.geteuid() != 0:
        pytest.skip(f"needs root and {name} (Debian: {package})")
    return found


def said(command: list[str], **more: str) -> str:
    """What a command that has to succeed prints; `more` is added to its environment."""
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **more})
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}{ended.stderr[-4000:]}"
    return ended.stdout.strip()


def lay_base(ours: list[str], folder: Path) -> None:
    """Put the base image of our Dockerfile into the store of a buildah."""
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    subprocess.run(
        [tool("debootstrap", "debootstrap"), "--variant=minbase", f"--keyring={keys}", "trixie", folder, _mirror()],
        stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
    container = said([*ours, "from", "scratch"])
    said([*ours, "add", "--quiet", container, str(folder), "/"])
    if any((extra := Path("/usr/local/share/ca-certificates")).glob("*.crt")):
        said([*ours, "add", "--quiet", container, str(extra), str(extra)])
    (base,) = {stage.base for stage in stages(FILE) if stage.name == "python"}
    said([*ours, "commit", "--quiet", container, f"docker.io/library/{base}"])
    said([*ours, "rm", container])


def build(ours: list[str], file: Path, context: Path, target: str, tag: str) -> None:
    """Build a target under the settings that this machine has for pip, without asking a registry."""
    settings = Path("/etc/pip.conf")
    volumes = ["--volume", f"{settings}:{settings}:ro"] if settings.exists() else []
    options = ["--isolation=chroot", "--network=host", "--pull-never", "--format=docker", "--layers", *volumes]
    said(["nice", *ours, "bud", *options, "--file", str(file), "--target", target, "--tag", tag, str(context)])


def _mirror() -> str:
    """Where this machine has its own Debian packages from."""
    texts = "\n".join(path.read_text() for path in Path("/etc/apt").rglob("*.sources"))
    texts += "\n".join(path.read_text() for path in Path("/etc/apt").rglob("sources.list"))
    places = re.findall(r"(?m)^(?:URIs: |deb (?:\[.*?\] )?)(\S+/debian)\b", texts)
    if not places:
        pytest.skip("this is no Debian: its archive is not known here")
    return str(places[0])
