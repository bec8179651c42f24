"""The command `demo`; what it does is in `tests/e2e/test_demo.py`."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.demo.cli import _folder, demo
from shared.process import UserError
from tests.processes import ROOT


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


ENDS = {
    "well": ("return Ended(True)", 0, False),
    "by Ctrl-C": ("return Ended(None)", 130, False),
    "with a trade that was not copied": ("return Ended(False)", 1, True),
    "before it began": ("raise UserError('no room')", 2, True),
    "in a crash": ("raise ValueError('what')", 1, True),
}


@pytest.mark.parametrize(("act", "code", "is_left"), ENDS.values(), ids=ENDS)
def test_its_folder_is_removed_unless_there_is_something_to_look_at_and_then_it_is_named(
    tmp_path: Path, act: str, code: int, is_left: bool
) -> None:
    program = f"""
from deploy.demo import stage
from deploy.demo.cli import demo
from deploy.demo.stage import Ended
from shared.process import UserError

async def play(self, keep):
    (self._place.folder / "made").touch()
    {act}

stage.Stage.play = play
demo([])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=dict(os.environ, TMPDIR=str(tmp_path)), cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    left = list(tmp_path.iterdir())
    assert (done.returncode, bool(left)) == (code, is_left), done.stderr
    assert all(f"left in {folder};" in done.stderr for folder in left)
