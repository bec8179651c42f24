"""The simulated terminal as a process: it survives its clients, keeps the account on disk and goes wrong on request.

`python -m executor.mt5.simulator.server --listen 127.0.0.1:0 --state DIR` answers the frames of `client`, one at a time
per connection. What changed is in the journal before the answer leaves, so that a kill loses nothing that was answered.
The bound address is written to `DIR/address` in one step, for whoever started it. Listens on loopback unless told
otherwise; there is no access control beyond the account's password.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from executor.mt5.child import HEADER
from executor.mt5.simulator.client import Call
from executor.mt5.simulator.desk import Reply
from executor.mt5.simulator.journal import Journal
from executor.mt5.simulator.machine import Fate, Handled, Machine, Options

ADDRESS_FILE = "address"
TICK_SECONDS = 0.1
MAX_FRAME = 16 * 1024 * 1024
DIED = 70
"""Exit code of a terminal that was asked to die."""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Server:
    """Serves one machine to any number of connections."""

    def __init__(self, machine: Machine, journal: Journal) -> None:
        self._machine, self._journal = machine, journal
        self._late: set[asyncio.Task[None]] = set()
        self._decoder = msgspec.msgpack.Decoder(Call)

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it goes; what it left behind may still be done afterwards."""
        left: list[tuple[Call, int]] = []
        try:
            await self._converse(reader, writer, left)
        except (asyncio.IncompleteReadError, ConnectionError, msgspec.DecodeError, asyncio.CancelledError):
            pass  # cancelled only at the end of the process, and there Python would print it
        finally:
            writer.close()
            for call, delay in left:
                self._later(call, delay)

    async def ticking(self) -> None:
        """Let time pass for orders and positions while nobody asks."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if self._machine.store.positions or self._machine.store.orders:
                self._machine.engine.advance(now_ms())
                self._journal.write(self._machine.store)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, left: list[tuple[Call, int]]
    ) -> None:
        while True:
            (size,) = HEADER.unpack(await reader.readexactly(HEADER.size))
            if size > MAX_FRAME:
                return
            call = self._decoder.decode(await reader.readexactly(size))
            handled = self._handle(call)
            reply = await self._fate(call, handled, left)
            if reply is None:
                return
            if reply is not SILENT:
                payload = msgspec.msgpack.encode(reply)
                writer.write(HEADER.pack(len(payload)) + payload)

    def _handle(self, call: Call) -> Handled:
        handled = self._machine.handle(call.function, call.arguments, now_ms())
        self._journal.write(self._machine.store)
        return handled

    def _perform(self, call: Call) -> Reply:
        reply = self._machine.perform(call.function, call.arguments, now_ms())
        self._journal.write(self._machine.store)
        return reply

    async def _fate(self, call: Call, handled: Handled, left: list[tuple[Call, int]]) -> Reply | None:
        """The reply to give, SILENT for none, None to break the connection."""
        match handled.fate:
            case Fate.DROP:
                return None
            case Fate.DIE:
                os._exit(DIED)
            case Fate.LATE:
                left.append((call, handled.delay))
                return SILENT
            case Fate.SILENCE:
                return SILENT
            case Fate.ANSWER | Fate.WAIT:
                pass
        if handled.delay:
            await asyncio.sleep(handled.delay / 1000)
        return self._perform(call) if handled.fate == Fate.WAIT else handled.reply

    def _later(self, call: Call, delay: int) -> None:
        async def perform() -> None:
            await asyncio.sleep(delay / 1000)
            self._perform(call)

        task = asyncio.create_task(perform())
        self._late.add(task)
        task.add_done_callback(self._late.discard)


SILENT = Reply(code=0)


def quietly(_address: str) -> None:
    """Tell nobody that it serves."""


async def serve(options: Options, listen: str, folder: Path, ready: Callable[[str], None] = quietly) -> None:
    """Run until the task is cancelled; `ready` is told the address when it serves.

    Raises OSError when the address is taken or the folder cannot be used.
    """
    lock = _locked(folder)
    machine, journal = Machine(options, str(folder)), Journal(folder)
    journal.open(machine.store)
    machine.fund(now_ms())
    journal.write(machine.store)
    host, _, port = listen.rpartition(":")
    server = Server(machine, journal)
    listener = await asyncio.start_server(server.connection, host, int(port))
    host, bound = listener.sockets[0].getsockname()[:2]
    _publish(folder, f"{host}:{bound}")
    ready(f"{host}:{bound}")
    ticking = asyncio.create_task(server.ticking())
    try:
        await ticking
    finally:
        ticking.cancel()
        listener.close()
        journal.close()
        lock.close()


def _locked(folder: Path) -> Any:
    """Hold the folder for this process; a second terminal on one account would write over the first."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = (folder / "lock").open("w")
    with contextlib.suppress(ImportError):
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            handle.close()
            raise OSError(f"another simulated terminal already uses {folder}") from None
    return handle


def _publish(folder: Path, address: str) -> None:
    new = folder / f"{ADDRESS_FILE}.new"
    new.write_text(address)
    new.replace(folder / ADDRESS_FILE)


def read_options(arguments: list[str] | None = None) -> tuple[Options, str, Path]:
    """Command line and, with `--stdin`, a JSON object on the standard input that wins over it (for the password)."""
    parser = argparse.ArgumentParser(prog="executor.mt5.simulator.server", description="A simulated MetaTrader 5.")
    parser.add_argument("--listen", default="127.0.0.1:0", help="address; port 0 takes a free one")
    parser.add_argument("--state", required=True, type=Path, help="folder of this account")
    parser.add_argument("--stdin", action="store_true", help="read options as JSON from the standard input")
    for field in msgspec.structs.fields(Options):
        if field.name not in ("password", "investor"):
            parser.add_argument(f"--{field.name.replace('_', '-')}", default=None, help=f"default {field.default}")
    given = vars(parser.parse_args(arguments))
    listen, folder = given.pop("listen"), given.pop("state")
    typed = json.loads(sys.stdin.readline()) if given.pop("stdin") else {}
    chosen = {name: value for name, value in given.items() if value is not None} | typed
    return msgspec.convert(chosen, Options, strict=False), listen, folder


async def _until_signal(options: Options, listen: str, folder: Path, ready: Callable[[str], None]) -> None:
    task = asyncio.ensure_future(serve(options, listen, folder, ready))
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):  # Windows
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
    try:
        with contextlib.suppress(asyncio.CancelledError):
            await task
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # told again while its loop closes, it would complain of that


def run(options: Options, listen: str, folder: Path, ready: Callable[[str], None] = quietly) -> int:
    """Serve until a signal comes, and answer the exit code; what is wrong is one line."""
    try:
        asyncio.run(_until_signal(options, listen, folder, ready))
    except (OSError, OverflowError, ValueError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def main(arguments: list[str] | None = None) -> int:
    try:
        options, listen, folder = read_options(arguments)
    except (OSError, OverflowError, ValueError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    return run(options, listen, folder)


if __name__ == "__main__":
    sys.exit(main())
