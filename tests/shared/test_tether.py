"""The program between fork and exec; what it makes of its child is tested with `shared.process`, which starts it."""

import os
import signal
import subprocess
import sys

from shared import tether


def test_a_child_whose_parent_is_gone_before_it_could_ask_does_not_start() -> None:
    somebody_else = "1"
    arguments = [somebody_else, str(int(signal.SIGKILL)), "same", "echo", "started"]
    ended = subprocess.run([sys.executable, tether.__file__, *arguments], stdout=subprocess.PIPE, check=True)
    assert ended.stdout == b""


def test_arguments_environment_and_input_reach_the_command() -> None:
    arguments = [
        str(os.getpid()),
        str(int(signal.SIGKILL)),
        "same",
        "sh",
        "-c",
        'echo "$0 $1 $WORD"; cat',
        "one",
        "two  2",
    ]
    environment = {"PATH": os.environ["PATH"], "WORD": "three"}
    ended = subprocess.run(
        [sys.executable, "-I", "-S", tether.__file__, *arguments],
        env=environment,
        input=b"four",
        stdout=subprocess.PIPE,
        check=True,
    )
    assert ended.stdout == b"one two  2 three\nfour"
