import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest.exchange import Exchange, Frame, capture
from ingest.redaction import redacted
from tests.ingest.samples import START

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N"
ORDER = "764986466.TP.1731600000000"


def exchange(path: str = "/novelty", query: str = "", body: bytes = b"", answer: bytes = b"") -> Exchange:
    return capture(
        flow="f1", method="POST", url=f"https://broker.example{path}?{query}", headers={}, body=body, asked=START,
        status=200, answer=answer, answered=START,
    )  # fmt: skip


def everything(found: Exchange | Frame) -> bytes:
    return repr(found).encode()


@pytest.mark.parametrize(
    "heard",
    [
        exchange(path=f"/novelty/{JWT}/orders"),
        exchange(query=urlencode({"x": JWT})),
        exchange(body=urlencode({"x": JWT, "qty": "1"}).encode()),
        exchange(body=json.dumps({"deep": [{"x": JWT}]}).encode()),
        exchange(answer=json.dumps([JWT]).encode()),
        exchange(answer=b"\x00binary " + JWT.encode()),
        exchange(answer=f"text {JWT} more".encode()),
        Frame(flow="w", host="h", port=443, path=f"/pipe?x={JWT}", at=START, text=json.dumps({"x": JWT}).encode()),
        exchange(path=f"/novelty;id={JWT}/orders"),
        exchange(query=JWT),
        exchange(query=f"{JWT}=1"),
        exchange(body=urlencode({"x": f"Bearer {JWT}"}).encode()),
        exchange(body=urlencode({"x": json.dumps({"y": JWT})}).encode()),
        exchange(answer=json.dumps({"x": json.dumps({"y": [JWT]})}).encode()),
        exchange(answer=json.dumps({"x": f"https://h.example/back?y={JWT}&z=1"}).encode()),
        exchange(answer=json.dumps({JWT: 1}).encode()),
        Frame(flow="w", host="h", port=443, path="/p", at=START, text=json.dumps({"x": f"me:{JWT}"}).encode()),
    ],
)
def test_what_looks_like_a_secret_is_masked_wherever_it_stands(heard: Exchange | Frame) -> None:
    assert JWT.encode() in everything(heard)
    assert JWT.encode() not in everything(redacted(heard, is_known=False))


@pytest.mark.parametrize(
    "name", ["xsrfToken", "csrf", "X-Auth", "sessionKey", "userPassword", "api_key", "bearer_auth"]
)
@pytest.mark.parametrize("is_known", [True, False])
def test_what_is_named_like_a_secret_is_masked_in_known_traffic_too(name: str, is_known: bool) -> None:
    heard = exchange(
        body=urlencode({name: "hush"}).encode(), answer=json.dumps({name: "hush", "n": {name: 12345}}).encode()
    )
    found = everything(redacted(heard, is_known=is_known))
    assert b"hush" not in found
    assert b"12345" not in found


@pytest.mark.parametrize("path", ["/message-pipe-ws/private_hushhush", "/message-pipe-es/public/private_hushhush?x=1"])
def test_the_name_of_a_private_channel_is_a_secret(path: str) -> None:
    heard = Frame(flow="w", host="h", port=443, path=path, at=START, text=b"{}")
    found = redacted(heard, is_known=True)
    assert "hush" not in found.path
    assert redacted(replace(heard, path="/message-pipe-ws/private_feed"), is_known=True).path.endswith("/private_feed")


def test_what_trades_stays_as_it_was_in_known_traffic() -> None:
    form = urlencode({"instrument": "EURUSD", "qty": "0.10", "side": "buy", "type": "market"}).encode()
    heard = exchange(
        f"/accounts/10001/orders/{ORDER}", "locale=en&requestId=k3v9x0q2ab", form,
        json.dumps({"s": "ok", "d": {"orderId": ORDER, "price": 1.08512}}).encode(),
    )  # fmt: skip
    found = redacted(heard, is_known=True)
    assert isinstance(found, Exchange)
    assert (found.path, found.query, found.body) == (heard.path, heard.query, heard.body)
    assert json.loads(found.answer or b"") == json.loads(heard.answer or b"")


def test_the_shape_of_what_nobody_knows_stays() -> None:
    answer = {"s": "ok", "d": [{"id": 7, "qty": 0.5, "open": True, "note": None, "name": "guaranteed stop"}]}
    found = redacted(exchange(answer=json.dumps(answer).encode()), is_known=False)
    assert isinstance(found, Exchange)
    assert json.loads(found.answer or b"") == answer


@given(st.binary(max_size=80), st.text(max_size=40), st.booleans())
def test_anything_can_be_redacted(body: bytes, path: str, is_known: bool) -> None:
    heard = Exchange(
        flow="f", method="GET", scheme="https", host="h", port=443, path="/" + path, body=body,
        asked=datetime(2026, 1, 1, tzinfo=UTC), query=path, answer=body,
    )  # fmt: skip
    redacted(heard, is_known=is_known)


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize(
    "value",
    [
        json.dumps({"deep": [{"sessionKey": "hush"}]}),
        "https://www.tradingview.com/oauth-redirect/x/?state=1&code=hush",
        "https://me:hush@h.example/",
        "wss://h.example/pipe#access_token=hush",
        "Bearer hush",
    ],
)
def test_text_that_is_json_or_an_address_is_looked_into(value: str, is_known: bool) -> None:
    heard = exchange(body=urlencode({"x": value}).encode(), answer=json.dumps({"x": value, "y": [value]}).encode())
    assert b"hush" in everything(heard)
    assert b"hush" not in everything(redacted(heard, is_known=is_known))


def test_long_text_is_looked_through_in_a_moment() -> None:
    for text in ("a" * 10**6, "a1 " * 10**5, "?token" * 10**5, '{"a":' * 10**4, "://a" * 10**5):
        redacted(exchange(answer=json.dumps({"x": text}).encode()), is_known=False)
