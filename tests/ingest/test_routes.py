"""What is remembered of a route is what the protocols say."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from ingest import picture
from ingest.exchange import Exchange
from ingest.routes import ROUTES, Routes, by_host
from ingest.source import Source
from tests.ingest.samples import BROKER, START
from tests.ingest.story import PAPER

SOURCES = (
    replace(BROKER, name="one", account="10001"),
    replace(BROKER, name="two", account="a/b"),
    replace(BROKER, name="all", account="*", prefix=("v1",)),
    replace(BROKER, name="odd", account="*", prefix=("accounts", "10001")),
    replace(BROKER, name="elsewhere", port=8443),
)
PARTS = st.sampled_from(
    ["", "v1", "accounts", "10001", "20002", "a%2Fb", "orders", "positions", "ord%65rs", "7", "token", "%2F", "."]
)


def request(method: str, path: str, source: Source = BROKER, body: bytes = b"") -> Exchange:
    return Exchange(
        flow="f", method=method, scheme="https", host=source.host, port=source.port, path=path, asked=START, body=body
    )


HEADS = st.sampled_from([["accounts", "10001"], ["accounts", "a%2Fb"], ["v1", "accounts", "7"], ["accounts"], []])
PATHS = st.builds(lambda head, rest: [*head, *rest], HEADS, st.lists(PARTS, max_size=4))
METHODS = st.sampled_from(["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])


@given(st.lists(st.tuples(METHODS, PATHS), min_size=1, max_size=12))
@example([("POST", ["accounts", "10001", "orders"]), ("DELETE", ["accounts", "10001", "orders", "7"])])
@example([("PATCH", ["accounts", "10001", "orders", "7"]), ("DELETE", ["accounts", "10001", "orders", "7"])])
@example([("DELETE", ["accounts", "10001", "orders", "7"]), ("DELETE", ["accounts", "10001", "orders", ""])])
def test_a_route_that_is_remembered_is_the_one_that_the_protocol_says(asked: list[tuple[str, list[str]]]) -> None:
    routes = Routes(by_host(SOURCES))
    for method, parts in asked * 2:
        heard = request(method, "/" + "/".join(parts))
        assert routes.calls(heard) == tuple(source for source in SOURCES if picture.trades(heard, source))


def test_the_routes_of_a_trader_are_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    trades = picture.trades

    def noting(heard: Exchange, source: Source) -> bool:
        asked.append(heard.path)
        return trades(heard, source)

    monkeypatch.setattr(picture, "trades", noting)
    routes = Routes(by_host([BROKER]))
    for number in range(5):
        for method, path in (("POST", "orders"), ("DELETE", f"orders/{number}"), ("PUT", f"positions/{number}.TP.1")):
            assert routes.calls(request(method, f"/accounts/10001/{path}")) == (BROKER,)
    assert asked == [f"/accounts/10001/{path}" for path in ("orders", "orders/0", "positions/0.TP.1")]


def test_what_is_asked_for_differently_each_time_does_not_fill_the_memory() -> None:
    routes = Routes(by_host([BROKER]))
    for number in range(3 * ROUTES):
        assert routes.calls(request("POST", f"/accounts/10001/previewOrder/{number}")) == ()
    assert len(routes._known) <= ROUTES
    assert routes.calls(request("POST", "/accounts/10001/orders")) == (BROKER,)


def test_a_request_of_paper_trading_is_read_each_time_since_its_body_decides() -> None:
    routes, path = Routes(by_host([PAPER])), "/trading/place/1234567"
    body = b'{"symbol":"FX:EURUSD","type":"market","qty":1,"side":"buy"}'
    for said, found in ((b"{}", ()), (body, (PAPER,)), (b"{}", ())):
        assert routes.calls(request("POST", path, PAPER, said)) == found


def test_a_request_without_tls_is_no_trading_call() -> None:
    routes, plain = Routes(by_host([BROKER])), request("POST", "/accounts/10001/orders")
    assert routes.calls(plain) == (BROKER,)
    assert routes.calls(replace(plain, scheme="http")) == ()
