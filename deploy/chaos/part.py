"""One process of a trial: started, armed to end or stand still at a point, signalled, and ended."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from deploy.bench.processes import children
from deploy.directory import log_file
from shared import process

ROOT = Path(__file__).parents[2]


class Part:
    """One process of the pipeline; `armed` is given to its next start only."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log: Path, *, piped: bool = False
    ) -> None:
        self.name = name
        self._argv = tuple(argv)
        self._env = {**os.environ, "PYTHONPATH": str(ROOT), **env}
        self._log = log
        self._piped = piped
        self.armed: tuple[str, ...] = ()
        self.under: tuple[str, ...] = ()
        self.expected = False
        self._asked = False
        self.running: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process, with what it is armed with."""
        self._hang_up()
        self.under, self.armed, self.expected, self._asked = self.armed, (), False, False
        pipe = subprocess.PIPE if self._piped else subprocess.DEVNULL
        with log_file(self._log) as output:
            self.running = process.spawn(
                [sys.executable, *self._argv, *self.under],
                env=self._env,
                stdin=pipe,
                stdout=subprocess.PIPE if self._piped else output.fileno(),
                stderr=output.fileno(),
            )

    @property
    def alive(self) -> bool:
        """Whether it runs, or stands still."""
        return self.running is not None and self.running.poll() is None

    @property
    def standing(self) -> bool:
        """Whether it was stopped by a signal and waits to go on."""
        assert self.running is not None
        try:
            return Path(f"/proc/{self.running.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False

    @property
    def reached(self) -> bool:
        """Whether it has come to the point that it was armed with."""
        return not self.alive or self.standing

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, if it runs; whatever ends it now was us."""
        if self.alive:
            assert self.running is not None
            self.expected = number == signal.SIGKILL or self.expected
            self.running.send_signal(number)

    def children(self) -> list[int]:
        """The process ids of its children."""
        assert self.running is not None
        return children(self.running.pid)

    def ask(self) -> None:
        """Ask it to end; once, since a second time would end it at once."""
        if not self._asked:
            self._asked = True
            self.signal(signal.SIGTERM)

    async def end(self) -> None:
        """Ask it to end, if that was not done; let it go on if it stands still, kill it if it does not end."""
        if self.running is not None:
            self.ask()
            await asyncio.to_thread(process.end, self.running, [signal.SIGCONT], 5.0)
            self._hang_up()

    def _hang_up(self) -> None:
        for pipe in (self.running.stdin, self.running.stdout) if self.running is not None else ():
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
