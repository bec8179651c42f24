"""A process ends at the named point, the given time that it is reached, and at no other."""

import signal
import subprocess
import sys

import pytest

from shared.points import parse
from tests.processes import ROOT

PROGRAM = """
from signal import SIGKILL
from shared.points import signalling
reach = signalling("called", 2, SIGKILL)
for name in ("fenced", "called", "fenced"):
    reach(name)
print("here")
reach("called")
print("never")
"""


def test_a_process_ends_where_it_was_told_and_nowhere_else() -> None:
    died = subprocess.run([sys.executable, "-uc", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (died.returncode, died.stdout) == (-signal.SIGKILL, "here\n")


def test_a_point_may_have_a_number() -> None:
    assert parse("read", ("read",)) == ("read", 1)
    assert parse("read:3", ("read",)) == ("read", 3)


@pytest.mark.parametrize("text", ["", "nowhere", "read:x", "read:-1"])
def test_anything_else_is_refused_with_the_points(text: str) -> None:
    with pytest.raises(ValueError, match="the points are read, called"):
        parse(text, ("read", "called"))
