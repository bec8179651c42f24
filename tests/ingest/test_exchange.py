"""What passes the proxy becomes plain values without secrets, and numbers stay exact."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.exchange import SECRETS, SHORT, capture, number, plain, read_form, read_json, scrub, site
from tests.ingest.story import START

SECRET = "s3cr3t-value"


def test_a_captured_exchange_holds_its_url_in_parts_and_only_the_site_that_asked() -> None:
    found = capture(
        flow="f",
        method="post",
        url="https://Broker.Example:8443/v1/accounts/D1/orders/1.TP.2?locale=en&code=x",
        headers={"origin": "https://www.tradingview.com", "authorization": f"Bearer {SECRET}"},
        body=b"qty=1",
        asked=START,
    )
    assert (found.method, found.host, found.port) == ("POST", "broker.example", 8443)
    assert found.segments == ("v1", "accounts", "D1", "orders", "1.TP.2")
    assert found.query == "locale=en"
    assert found.origin == "https://www.tradingview.com"
    assert SECRET not in repr(found)


def test_ids_are_url_decoded_after_the_path_is_taken_apart() -> None:
    found = capture(
        flow="f", method="GET", url="https://b/accounts/a%2Fb/orders/x%20y", headers={}, body=b"", asked=START
    )
    assert found.segments == ("accounts", "a/b", "orders", "x y")


@pytest.mark.parametrize(
    "body",
    [
        f"digitalSignature={SECRET}&qty=0.1&side=buy".encode(),
        f'{{"a":[{{"access_token":"{SECRET}","qty":1.10}}],"Cookie":"{SECRET}"}}'.encode(),
        f'{{"password":"{SECRET}"'.encode(),
        f"DIGITALSIGNATURE={SECRET}".encode(),
    ],
)
def test_no_secret_survives_in_a_body(body: bytes) -> None:
    assert SECRET.encode() not in scrub(body)


@pytest.mark.parametrize("length", [0, SHORT - 60, SHORT, 5 * SHORT])
@pytest.mark.parametrize("name", sorted(SECRETS))
def test_secrets_are_found_in_short_bodies_and_in_long_ones(name: str, length: int) -> None:
    noise = b"qty=" + b"1" * length
    found = scrub(noise + f"&{name.upper()}={SECRET}&side=buy".encode())
    assert found == noise + b"&side=buy"


def test_scrubbing_leaves_everything_else_exactly_as_it_was() -> None:
    assert scrub(b"qty=0.10&side=buy") == b"qty=0.10&side=buy"
    kept = json.loads(scrub(b'{"token":"x","price":1.10000000000000000001,"n":[1,null]}'), parse_float=Decimal)
    assert kept == {"price": Decimal("1.10000000000000000001"), "n": [1, None]}


@pytest.mark.parametrize("path", ["/authorize", "/v1/authorize", "/oauth/token"])
def test_bodies_of_logins_are_not_kept_at_all(path: str) -> None:
    body = f"login=joe&odd={SECRET}".encode()
    found = capture(
        flow="f",
        method="POST",
        url=f"https://b{path}",
        headers={},
        body=body,
        asked=START,
        status=200,
        answer=f'{{"odd":"{SECRET}"}}'.encode(),
    )
    assert (found.body, found.answer) == (b"", b"")


@given(st.binary(max_size=300), st.sampled_from(sorted(SECRETS)))
def test_scrubbing_takes_any_bytes(noise: bytes, name: str) -> None:
    scrub(noise)
    scrub(b"{" + noise + name.encode())
    assert isinstance(scrub(name.encode() + b"=" + noise), bytes)


@pytest.mark.parametrize("url", ["https://[bad", "", "/only/a/path", "https://evil.test:99999/x"])
def test_a_site_that_cannot_be_read_is_no_site(url: str) -> None:
    assert site(url) in ("", "https://evil.test")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0.10", "0.1"),
        ("100", "100"),
        ("1e2", "100"),
        (" 1.5 ", "1.5"),
        ("-0", "0"),
        (7, "7"),
        ("0.19999999999999998", "0.2"),
        (0.30000000000000004, "0.3"),
        ("1.0850000000000002", "1.085"),
        ("123456789012345", "123456789012345"),
        (Decimal("2.50"), "2.5"),
        ("NaN", None),
        ("Infinity", None),
        ("", None),
        ("1,5", None),
        (True, None),
        (None, None),
        ([], None),
        ("1e999999", None),
        ("1e-999999", None),
        ("9" * 40, None),
        ("0x10", None),
    ],
)
def test_numbers_are_exact_or_none(value: object, expected: str | None) -> None:
    found = number(value)
    assert (None if found is None else str(found)) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**9), max_value=10**9, places=9))
def test_plain_numbers_are_equal_and_have_no_exponent(value: Decimal) -> None:
    assert plain(value) == value
    assert "E" not in str(plain(value)) or abs(value) < Decimal("1e-6")


def test_json_with_nan_is_no_json() -> None:
    assert read_json(b'{"a":NaN}') is None
    assert read_json(b"[" * 100_000) is None
    assert read_json(None) is None
    assert read_json(b'{"a":1.10}') == {"a": Decimal("1.10")}


def test_of_a_repeated_form_field_the_last_counts() -> None:
    assert read_form(b"a=1&b=&a=2") == {"a": "2", "b": ""}
    assert read_form(b"&".join(b"a=1" for _ in range(5000))) == {}
