"""The command `bench`; what it measures is in `test_latency.py`."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.bench.cli import bench, write
from shared.process import UserError


@pytest.mark.parametrize("words", [["--help"], ["latency", "--help"], ["proxy", "--help"]])
def test_its_help_needs_none_of_the_heavy_libraries(words: list[str]) -> None:
    program = (
        f"import sys; from deploy.bench.cli import bench; bench({words!r}, standalone_mode=False); "
        "sys.exit(' '.join({'redis', 'psycopg', 'mitmproxy', 'cryptography', 'h11'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "latency" in done.stdout or "--runs" in done.stdout


def test_measuring_nothing_is_refused() -> None:
    for words in (["latency", "--orders", "0"], ["latency", "--runs", "0"], ["proxy", "--calls", "0"]):
        assert CliRunner().invoke(bench, words).exit_code == 2


def test_a_result_is_written_as_json_or_refused_in_one_line(tmp_path: Path) -> None:
    write(tmp_path / "found.json", {"met": True})
    assert (tmp_path / "found.json").read_text() == '{\n  "met": true\n}\n'
    with pytest.raises(UserError, match="cannot be written"):
        write(tmp_path / "none" / "found.json", {})
