"""What the terminal's process prints is told, its last words say why it ended, and nobody waits for a pipe."""

import asyncio
import logging
import os
import signal
import sys

import pytest

from executor.mt5.chatter import LONGEST, Chatter, Mouthpiece


async def printed(program: str) -> Mouthpiece:
    """Run a piece of Python to its end with a mouthpiece."""
    mouthpiece = Mouthpiece()
    await mouthpiece.open()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=mouthpiece.output, stderr=mouthpiece.output
    )
    mouthpiece.handed_over()
    await process.wait()
    return mouthpiece


async def test_every_line_is_logged_and_the_last_one_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        mouthpiece = await printed("import sys; sys.stderr.write('one\\ntwo\\n\\n'); print('three', end='')")
        assert await mouthpiece.chatter.last_words() == "three"
    said = [record.getMessage().partition(": ")[2] for record in caplog.records]
    assert said == ["one", "two", "three"]
    mouthpiece.close()


async def test_who_keeps_the_pipe_open_is_not_waited_for() -> None:
    keeps = "import subprocess; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"
    mouthpiece = await printed(keeps)
    async with asyncio.timeout(10):
        sleeper = int(await mouthpiece.chatter.last_words())
    mouthpiece.close()
    os.kill(sleeper, signal.SIGKILL)


async def test_a_line_that_does_not_end_is_kept_in_bounds(caplog: pytest.LogCaptureFixture) -> None:
    chatter = Chatter()
    for _ in range(10):
        chatter.data_received(b"x" * LONGEST)
    chatter.eof_received()
    assert chatter.last == "x" * LONGEST
    assert len(caplog.records) == 1


async def test_closing_twice_is_closing_once() -> None:
    mouthpiece = Mouthpiece()
    await mouthpiece.open()
    mouthpiece.close()
    mouthpiece.close()
    assert mouthpiece.output is None
