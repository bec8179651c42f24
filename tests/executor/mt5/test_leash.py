"""A process on a leash: Windows' own layout, and nothing at all elsewhere (under Wine it is tried by test_wine.py)."""

import ctypes
import subprocess
import sys

from executor.mt5.leash import Leash, Limits


def test_the_layout_is_that_of_windows_in_64_bits() -> None:
    assert ctypes.sizeof(Limits) == 144
    assert Limits.flags.offset == 16


def test_elsewhere_nothing_is_tied_and_nothing_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        leash = Leash()
        leash.tie(child.pid)
        leash.loose()
        assert child.poll() is None
        child.communicate(b"\n")
    assert child.returncode == 0
