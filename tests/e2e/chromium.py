"""A real browser for tests: Debian's Chromium without a screen, driven over a pipe by its DevTools protocol.

It has a profile of its own, goes through one proxy with everything, loopback too, and trusts exactly the keys that it
is given. It ends with the pipe, so none is left behind.
"""

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography import x509

from tests.e2e.processes import wait_until_gone

BINARY = shutil.which("chromium")
PATIENCE_S = 60
LONGEST_MESSAGE = 64 * 1024 * 1024
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage"),
    "--remote-debugging-pipe",
    "--proxy-bypass-list=<-loopback>",
)
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""
"""Chromium wants the ends of its pipes at 3 and 4."""


class Chromium:
    """A browser that runs; `browser` starts one."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.WriteTransport) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: list[dict[str, Any]] = []
        """What the browser told unasked, as far as it was enabled."""

    async def listen(self) -> None:
        """Hand the answers to whoever waits for them, until the browser ends."""
        with suppress(asyncio.IncompleteReadError):
            while True:
                said = json.loads((await self._reader.readuntil(b"\0"))[:-1])
                if "id" not in said:
                    self.events.append(said)
                if (waiting := self._waiting.pop(said.get("id", 0), None)) is not None and not waiting.done():
                    waiting.set_result(said)

    async def ask(self, method: str, session: str | None = None, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol. AssertionError when the browser says no."""
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = {"id": number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        self._writer.write(json.dumps(message).encode() + b"\0")
        async with asyncio.timeout(PATIENCE_S):
            said = await waiting
        assert "error" not in said, (method, said["error"])
        return said["result"]

    async def open(self, url: str) -> "Tab":
        """Open a page in a tab of its own and wait until it is loaded."""
        target = await self.ask("Target.createTarget", url="about:blank")
        attached = await self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        tab = Tab(self, attached["sessionId"])
        await tab.ask("Network.enable")
        went = await tab.ask("Page.navigate", url=url)
        assert "errorText" not in went, f"{url}: {went['errorText']}"
        await tab.run(
            "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"
        )
        return tab


class Tab:
    """A page in the browser."""

    def __init__(self, chromium: Chromium, session: str) -> None:
        self._chromium = chromium
        self._session = session

    async def ask(self, method: str, **parameters: Any) -> Any:
        """Call a method of the DevTools protocol for this tab."""
        return await self._chromium.ask(method, self._session, **parameters)

    async def run(self, script: str) -> Any:
        """The value of an expression in the page, waited for. AssertionError with what it threw."""
        found = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in found, (script, found["exceptionDetails"]["exception"].get("description"))
        return found["result"].get("value")

    def peers(self, url: str) -> set[tuple[str, int]]:
        """The addresses that the browser itself was connected to for what it got from below `url`."""
        return {(answer["remoteIPAddress"], answer["remotePort"]) for answer in self._answers(url)}

    def protocols(self, url: str) -> set[str]:
        """The protocols that the browser spoke for what it got from below `url`."""
        return {answer["protocol"] for answer in self._answers(url)}

    def encodings(self, url: str) -> set[str]:
        """How the contents were compressed."""
        headers = ({k.lower(): v for k, v in answer["headers"].items()} for answer in self._answers(url))
        return {found["content-encoding"] for found in headers if "content-encoding" in found}

    def _answers(self, url: str) -> list[dict[str, Any]]:
        received = [e for e in self._chromium.events if e["method"] == "Network.responseReceived"]
        return [e["params"]["response"] for e in received if e["params"]["response"]["url"].startswith(url)]

    async def certificates(self, origin: str) -> list[x509.Certificate]:
        """The certificates that the browser got from an origin (`https://host:port`), the server's own first."""
        found = await self.ask("Network.getCertificate", origin=origin)
        return [x509.load_der_x509_certificate(base64.b64decode(der)) for der in found["tableNames"]]


@asynccontextmanager
async def browser(profile: Path, proxy: str, pins: Sequence[str]) -> AsyncIterator[Chromium]:
    """A browser with an empty profile in the folder `profile`, behind `proxy` (host:port), that trusts the `pins`."""
    assert BINARY is not None, "there is no Chromium"
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), BINARY),
        *(*FLAGS, f"--user-data-dir={profile}", f"--proxy-server=http://{proxy}"),
        f"--ignore-certificate-errors-spki-list={','.join(pins)}",
        pass_fds=(theirs_in, theirs_out),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    reader = asyncio.StreamReader(limit=LONGEST_MESSAGE)
    loop = asyncio.get_running_loop()
    incoming, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(ours_in, "rb"))
    outgoing, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, os.fdopen(ours_out, "wb"))
    chromium = Chromium(reader, outgoing)
    listening = asyncio.create_task(chromium.listen())
    try:
        yield chromium
    finally:
        incoming.close()
        outgoing.close()
        listening.cancel()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # the group is the browser's own
        await process.wait()
        await asyncio.to_thread(wait_until_gone, profile)
