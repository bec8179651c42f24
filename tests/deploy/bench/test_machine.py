"""What is said about the machine."""

from pathlib import Path

from deploy.bench.machine import filesystem


def test_the_filesystem_is_the_one_nearest_to_the_path(tmp_path: Path) -> None:
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    assert filesystem(Path("/proc/self")) == "proc"
    assert filesystem(tmp_path) in {words[2] for words in mounts} - {"proc"}
