"""The executor's commands say what they want, and a fault suite can end the process at a named point."""

import signal
import subprocess
import sys

from click.testing import CliRunner

from executor.cli import POINTS, cli
from tests.processes import ROOT


def test_run_says_what_it_takes() -> None:
    shown = CliRunner().invoke(cli, ["run", "--help"])

    assert shown.exit_code == 0
    assert "--account" in shown.output
    assert "--die-at" not in shown.output


def test_an_unknown_point_is_refused() -> None:
    refused = CliRunner().invoke(cli, ["run", "--die-at", "nowhere"])

    assert refused.exit_code == 2
    assert all(point in refused.output for point in POINTS)


def test_dying_at_a_point_ends_the_process_there_and_nowhere_else() -> None:
    program = (
        "from executor.cli import dying_at; reach = dying_at('called'); reach('fenced'); print('here'); reach('called')"
    )

    died = subprocess.run([sys.executable, "-uc", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "here\n")
