"""The proxy without a tap: it opens its one host, and calls pass."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.worker import Job, Worker
from tests.ingest.wire import Origin, fetch, new_authority, trusting, whole
from tests.processes import ROOT


async def test_calls_pass_opened(tmp_path: Path) -> None:
    origin = Origin(new_authority(tmp_path))
    origin.replies["/x"] = whole(b"hello")
    async with await origin.serve():
        ready = tmp_path / "run" / "ready"
        argv = [sys.executable, "-m", "deploy.bench.bare_proxy", "--opened", "localhost", str(origin.port)]
        argv += ["--confdir", str(tmp_path / "conf"), "--upstream-ca", str(origin.ca), "--ready-file", str(ready)]
        worker = Worker(Job("bare", argv, {"PYTHONPATH": str(ROOT)}, ready), tmp_path)
        await worker.started()
        try:
            host, _, port = ready.read_text().strip().rpartition(":")
            trusted = trusting(tmp_path / "conf" / "mitmproxy-ca-cert.pem")
            to = ("localhost", origin.port)
            assert await asyncio.to_thread(fetch, (host, int(port)), to, trusted, "GET", "/x") == (200, b"hello")
        finally:
            await worker.stop()


@pytest.mark.parametrize("words", [[], ["--opened", "localhost"]])
def test_it_says_what_it_needs(words: list[str]) -> None:
    argv = [sys.executable, "-m", "deploy.bench.bare_proxy", *words]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--opened" in done.stderr
