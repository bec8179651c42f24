"""A pytest plugin that takes away what Windows does not have, so far as that can be done on Linux:

    python -m pytest -p tests.executor.elsewhere tests/executor/test_lane.py

Event loops take no signal handlers, there is no fork and no process group, and no child asks the kernel to die with its
parent. The child processes find the same, through a sitecustomize module of their own.
"""

import asyncio
import os
import shutil
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

MISSING = ("fork", "forkpty", "killpg", "getpgid", "setsid", "setpgid")
SITE = "import os, sys\nsys.platform = 'elsewhere'\n"
SITE += f"for name in {MISSING!r}:\n    if hasattr(os, name): delattr(os, name)\n"
HEADER = "as on Windows: no signal handlers in loops, no fork, no death signal"


def pytest_configure(config: pytest.Config) -> None:
    """Before any test is collected."""
    folder = tempfile.mkdtemp()
    config.add_cleanup(lambda: shutil.rmtree(folder))
    Path(folder, "sitecustomize.py").write_text(SITE)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (folder, os.environ.get("PYTHONPATH"))))
    take_away()


def pytest_report_header() -> str:
    """For whoever reads the output, the test that starts this included."""
    return HEADER


def take_away() -> None:
    """From here on, in this process."""
    from executor.mt5 import childkeeper
    from shared import process, vault

    loops: Any = asyncio.SelectorEventLoop
    loops.add_signal_handler = loops.remove_signal_handler = refused
    for name in MISSING:
        if hasattr(os, name):
            delattr(os, name)
    modules: list[tuple[Any, str]] = [(childkeeper, "win32"), (vault, "win32"), (process, "elsewhere")]
    for module, platform in modules:
        module.sys = SimpleNamespace(**{**vars(sys), "platform": platform})


def refused(*_: object) -> NoReturn:
    """As asyncio's loops on Windows."""
    raise NotImplementedError
