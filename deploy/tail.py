"""Shows what is written to log files as it is written, so that one terminal tells what all processes say."""

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

LOOK_S = 0.2


class Tail:
    """The ends of log files from now on; one that is set aside and begun anew is followed into its successor."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._open: dict[Path, BinaryIO] = {}
        self._rest: dict[Path, bytes] = {}
        for path in files:
            self.also(path)

    def also(self, path: Path) -> None:
        """Show the end of one more file from now on."""
        self._open[path] = path.open("rb")
        self._open[path].seek(0, 2)

    def lines(self) -> list[str]:
        """The whole lines that came since the last call, file by file."""
        return [line.decode(errors="replace") for path in list(self._open) for line in self._of(path)]

    async def show(self, say: Callable[[str], None]) -> None:
        """Pass every new line to `say` until cancelled."""
        while True:
            for line in self.lines():
                say(line)
            await asyncio.sleep(LOOK_S)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._open.values():
            file.close()

    def _of(self, path: Path) -> list[bytes]:
        fresh = self._open[path].read()
        if self._replaced(path):
            self._open[path].close()
            self._open[path] = path.open("rb")
            fresh += self._open[path].read()
        *whole, self._rest[path] = (self._rest.get(path, b"") + fresh).split(b"\n")
        return whole

    def _replaced(self, path: Path) -> bool:
        return path.exists() and path.stat().st_ino != _inode(self._open[path])


def _inode(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_ino
