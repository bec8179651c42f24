import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from ingest import browser, certificate
from ingest.proxy import Proxy
from shared.process import UserError
from tests.ingest.wire import Origin, new_authority, through, whole

CHROMIUM = shutil.which("chromium")


def test_the_profile_is_its_own_and_trusts_one_key() -> None:
    argv = browser.command("chromium", Path("/data/browser"), "127.0.0.1:8080", "aGFzaA==", more=["--headless"])
    assert argv[0] == "chromium"
    assert {"--user-data-dir=/data/browser", "--proxy-server=http://127.0.0.1:8080", "--headless"} < set(argv)
    assert "--ignore-certificate-errors-spki-list=aGFzaA==" in argv
    assert argv[-1] == browser.HOME_PAGE


@pytest.mark.parametrize(
    ("kinds", "here", "found"),
    [
        (browser.KINDS, {"google-chrome", "msedge"}, "google-chrome"),
        (["edge"], {"google-chrome", "msedge"}, "msedge"),
        (
            ["chrome"],
            {r"C:\Programs\Google\Chrome\Application\chrome.exe"},
            r"C:\Programs\Google\Chrome\Application\chrome.exe",
        ),
        (browser.KINDS, {browser.PLACES["edge"][0]}, browser.PLACES["edge"][0]),
    ],
    ids=["the first", "the one asked for", "Windows", "macOS"],
)
def test_a_browser_is_found_where_it_usually_is(kinds: list[browser.Kind], here: set[str], found: str) -> None:
    environment: Callable[[str], str | None] = {"PROGRAMFILES": r"C:\Programs"}.get
    assert browser.find(kinds, environment, lambda name: name if name in here else None) == found


def test_a_computer_without_one_is_one_line() -> None:
    with pytest.raises(UserError, match="none of chrome, edge is here"):
        browser.find(["chrome", "edge"], lambda _: None, lambda _: None)


@pytest.mark.parametrize("trusted", [True, False], ids=["our key", "another key"])
async def test_chromium_shows_a_page_that_came_through_the_proxy_if_its_key_is_ours(
    tmp_path: Path, trusted: bool
) -> None:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed")
    origin = Origin(new_authority(tmp_path))
    origin.replies["/page"] = whole(b"<p>through the proxy</p>", content_type="text/html")
    proxy = Proxy(("127.0.0.1", 0), tmp_path / "proxy", object(), upstream_ca=origin.ca)
    async with await origin.serve(), through(proxy, [("localhost", origin.port)]) as (host, port):
        spki = certificate.authority(tmp_path / "proxy").spki if trusted else "A" * 43 + "="
        # A sandbox needs rights that a container lacks; loopback is what a browser spares its proxy by default.
        more = ["--headless", "--no-sandbox", "--disable-gpu", "--proxy-bypass-list=<-loopback>", "--dump-dom"]
        page = f"https://localhost:{origin.port}/page"
        argv = browser.command(CHROMIUM, tmp_path / "profile", f"{host}:{port}", spki, page, more)
        done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, timeout=60, check=False)
        assert (b"through the proxy" in done.stdout) is trusted
        assert bool([a for a in origin.asked if a.path == "/page"]) is trusted
