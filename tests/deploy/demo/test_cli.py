"""The command `demo`; what it does is in `tests/e2e/test_demo.py`."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.demo.cli import _folder, demo
from shared.process import UserError


def test_its_help_needs_none_of_the_heavy_libraries() -> None:
    program = (
        "import sys; from deploy.demo.cli import demo; demo(['--help'], standalone_mode=False); "
        "sys.exit(' '.join({'redis', 'psycopg', 'mitmproxy', 'cryptography', 'h11'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--keep" in done.stdout


def test_a_folder_is_made_and_has_to_be_empty(tmp_path: Path) -> None:
    assert _folder(tmp_path / "new").is_dir()
    (tmp_path / "new" / "old").touch()
    with pytest.raises(UserError, match="is not empty"):
        _folder(tmp_path / "new")
    result = CliRunner().invoke(demo, ["--data", str(tmp_path / "new" / "old")])
    assert result.exit_code == 2


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/new cannot be used: Not a directory; choose another --data"):
        _folder(tmp_path / "file" / "new")


def test_without_a_folder_it_takes_a_temporary_one() -> None:
    folder = _folder(None)
    try:
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()
