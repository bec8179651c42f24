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
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
TRUSTED = Path("usr/local/share/ca-certificates")
"""Where a machine has authorities of its own."""
PIP = Path("/etc/pip.conf")
UNDER_WINE = r"""
mkdir -p "$WINEPREFIX"
Xvfb :99 -nolisten tcp >/dev/null 2>&1 &
for width in x86_64 i386; do
    wine 'Z:\usr\lib\'$width'-linux-gnu\wine\'$width'-windows\cmd.exe' /c 'echo in %PROCESSOR_ARCHITECTURE%'
done
wine cmd /c dir /b 'Z:\opt\tradecopier\executor\mt5\child.py' requirements-executor.lock
ls /tmp/.X11-unix
wineserver --kill
kill $! 2>/dev/null || true
"""
"""Programs of both widths, the files that the pages name as Windows sees them, and the screen."""
SEEN_THERE = ["in AMD64", "in x86", "child.py", "requirements-executor.lock", "X99"]


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


def lay_debian(folder: Path, *packages: str) -> None:
    """Debian 13 in a folder, with more packages, believing whom this machine believes."""
    command = [tool("debootstrap", "debootstrap"), "--variant=minbase", f"--keyring={KEYS}"]
    command += [f"--include={','.join(packages)}"] if packages else []
    said(["nice", *command, "trixie", str(folder), _mirror()])
    for certificate in (Path("/") / TRUSTED).glob("*.crt"):
        (folder / TRUSTED).mkdir(parents=True, exist_ok=True)
        shutil.copy(certificate, folder / TRUSTED)


def base() -> str:
    """The image that our Dockerfile begins with."""
    (found,) = {stage.base for stage in stages(FILE) if stage.name == "python"}
    return found


def lay_base(ours: list[str], folder: Path) -> None:
    """Put the base image of our Dockerfile into the store of a buildah."""
    lay_debian(folder)
    container = said([*ours, "from", "scratch"])
    said([*ours, "add", "--quiet", container, str(folder), "/"])
    said([*ours, "commit", "--quiet", container, f"docker.io/library/{base()}"])
    said([*ours, "rm", container])


def build(ours: list[str], file: Path, context: Path, target: str, tag: str) -> None:
    """Build a target under the settings that this machine has for pip, without asking a registry."""
    volumes = ["--volume", f"{PIP}:{PIP}:ro"] if PIP.exists() else []
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
