"""The example of an Alertmanager: a real one takes it, and its messages say what is wrong and what to do."""

import asyncio
import http.client
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deploy.directory import HOST, free_port
from shared.process import end, spawn
from tests.deploy.rules import FOLDER, Rule, rules

TOKEN = "1234:token"
ALERTS = {rule.alert: rule for rule in rules("alerts.yml")}
SENT = json.dumps({"ok": True, "result": {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}}})


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The file, with the token itself in it: an Alertmanager before 0.26 cannot read that from a file."""
    text = (FOLDER / "alertmanager.example.yml").read_text()
    named = "bot_token_file: /etc/alertmanager/bot.token"
    assert named in text
    (written := tmp_path / "alertmanager.yml").write_text(text.replace(named, f'bot_token: "{TOKEN}"'))
    return written


def needed(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed (Debian: prometheus-alertmanager)")
    return found


def test_amtool_takes_the_example(example: Path) -> None:
    checked = subprocess.run([needed("amtool"), "check-config", example], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "1 receivers" in checked.stdout


class Chat:
    """A chat's server: what was sent to it, as it was sent."""

    def __init__(self) -> None:
        self.requests: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[str]:
        """Listens; its address."""
        server = await asyncio.start_server(self._answer, HOST, 0)
        async with server:
            yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *headers = (await reader.readuntil(b"\r\n\r\n")).decode().lower().splitlines()
        (length,) = [int(line.split(":")[1]) for line in headers if line.startswith("content-length:")]
        body = await reader.readexactly(length)
        await self.requests.put((first.split()[1], json.loads(body)))
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(SENT)}\r\n"
        writer.write(f"{head}Connection: close\r\n\r\n{SENT}".encode())
        await writer.drain()
        writer.close()


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(example: Path, port: int, tmp_path: Path) -> Iterator[Any]:
    """Start one on the example, whose chat is somewhere else."""
    started: list[subprocess.Popen[bytes]] = []

    def run(chat: str) -> None:
        example.write_text(example.read_text().replace("- bot_token:", f'- api_url: "{chat}"\n        bot_token:'))
        places = [f"--config.file={example}", f"--storage.path={tmp_path}/state", "--cluster.listen-address="]
        command = [needed("prometheus-alertmanager"), *places, f"--web.listen-address={HOST}:{port}"]
        started.append(spawn(command, stderr=subprocess.DEVNULL))

    yield run
    for each in started:
        end(each, [])


def asked(port: int, method: str, path: str, body: str | None = None) -> int:
    """The status of an answer; 0 when there is none yet."""
    connection = http.client.HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


async def raised(port: int, rule: Rule) -> None:
    """Tell it of an alert, as Prometheus would, as soon as it listens."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(asked, port, "GET", "/-/ready") != 200:
            await asyncio.sleep(0.05)
    labels = {"alertname": rule.alert, "namespace": "main", **rule.labels}
    alerts = json.dumps([{"labels": labels, "annotations": rule.annotations}])
    assert await asyncio.to_thread(asked, port, "POST", "/api/v2/alerts", alerts) == 200


async def test_a_page_reaches_the_chat_with_what_is_wrong_and_what_to_do(start: Any, port: int) -> None:
    chat = Chat()
    rule = next(rule for rule in ALERTS.values() if rule.labels["severity"] == "page")
    async with chat.open() as address:
        start(address)
        await raised(port, rule)
        async with asyncio.timeout(60):
            path, message = await chat.requests.get()
    assert path == f"/bot{TOKEN}/sendmessage"
    assert (int(message["chat_id"]), message["parse_mode"]) == (-1000000000000, "HTML")
    assert message["text"].startswith(f"<b>firing: {rule.annotations['summary'].split('{')[0]}")
    for part in ("action", "runbook"):
        assert rule.annotations[part] in message["text"]
