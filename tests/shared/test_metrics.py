"""Metrics and health behind one port, from a registry that is nobody else's."""

import asyncio
import socket

import pytest

from shared import metrics
from shared.process import UserError
from shared.version import VERSION


async def fetch(address: str, request: str) -> tuple[int, str]:
    """Status and body of one raw request."""
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    reply = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = reply.partition("\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


async def test_metrics_are_served_with_their_prefix_and_the_common_buckets() -> None:
    registry = metrics.new_registry("executor")
    metrics.counter(registry, "steps", "Steps taken.", ("kind",)).labels("opening").inc()
    metrics.gauge(registry, "lag_seconds", "How late.").set(0.5)
    metrics.histogram(registry, "call_seconds", "How long calls take.").observe(0.0007)
    async with metrics.served(registry, "127.0.0.1:0") as address:
        status, body = await fetch(address, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert status == 200
    assert 'tradecopier_steps_total{kind="opening"} 1.0' in body
    assert "tradecopier_lag_seconds 0.5" in body
    assert 'tradecopier_call_seconds_bucket{le="0.0005"} 0.0' in body
    assert 'tradecopier_call_seconds_bucket{le="0.001"} 1.0' in body
    assert 'tradecopier_call_seconds_bucket{le="60.0"} 1.0' in body
    assert 'service="executor"' in body
    assert f'version="{VERSION}"' in body


async def test_metrics_that_others_can_reach_are_said(caplog: pytest.LogCaptureFixture) -> None:
    for listen in ("127.0.0.1:0", "localhost:0"):
        async with metrics.served(metrics.new_registry("x"), listen):
            assert caplog.text == ""
    async with metrics.served(metrics.new_registry("x"), "0.0.0.0:0"):
        assert "0.0.0.0:0 can be read by everyone who reaches it" in caplog.text


async def test_health_is_200_while_nothing_is_wrong_and_says_what_is() -> None:
    problems: list[str] = []
    async with metrics.served(metrics.new_registry("x"), "127.0.0.1:0", lambda: problems) as address:
        healthy = await fetch(address, "GET /healthz HTTP/1.1\r\n\r\n")
        problems += ["redis is away since 12 s", "lane demo is halted"]
        ill = await fetch(address, "GET /healthz HTTP/1.1\r\n\r\n")
    assert healthy == (200, "ok\n")
    assert ill == (503, "redis is away since 12 s\nlane demo is halted\n")


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("GET /secrets HTTP/1.1\r\n\r\n", 404),
        ("GET /metrics?name[]=x HTTP/1.1\r\n\r\n", 200),
        ("POST /metrics HTTP/1.1\r\n\r\n", 405),
        ("nonsense\r\n\r\n", 405),
        ("\r\n\r\n", 405),
        ("GET /" + "x" * 100_000 + "\r\n\r\n", 0),
    ],
)
async def test_odd_requests_get_a_short_answer_or_none(request_text: str, status: int) -> None:
    async with metrics.served(metrics.new_registry("x"), "127.0.0.1:0") as address:
        assert (await fetch(address, request_text))[0] == status
        assert (await fetch(address, "GET /healthz HTTP/1.1\r\n\r\n"))[0] == 200


async def test_who_connects_and_says_nothing_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "REQUEST_LIMIT", 0.05)
    async with metrics.served(metrics.new_registry("x"), "127.0.0.1:0") as address:
        assert await fetch(address, "GET /hea") == (0, "")


async def test_a_port_in_use_is_one_line_that_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(UserError, match=f"cannot listen on {address}.*another address"):
            async with metrics.served(metrics.new_registry("x"), address):
                pass


def test_two_registries_know_nothing_of_each_other() -> None:
    one, other = metrics.new_registry("x"), metrics.new_registry("x")
    metrics.counter(one, "steps", "Steps taken.").inc()
    assert other.get_sample_value("tradecopier_steps_total") is None
