"""A source's settings are taken apart once, and mistakes are said."""

import pytest

from ingest.source import Source, parse_host


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("broker.example", ("broker.example", 443, ())),
        ("Broker.Example:8443", ("broker.example", 8443, ())),
        ("[::1]:8443", ("::1", 8443, ())),
        ("[2001:DB8:0:0::A]/api", ("2001:db8::a", 443, ("api",))),
        ("192.0.2.7:8443", ("192.0.2.7", 8443, ())),
        ("rest-demo.example/tradingview/v1", ("rest-demo.example", 443, ("tradingview", "v1"))),
    ],
)
def test_a_host_may_have_a_port_and_a_prefix(text: str, expected: tuple[str, int, tuple[str, ...]]) -> None:
    assert parse_host(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/x",
        "*.example",
        "a:0",
        "a:x",
        "a:99999",
        "a b",
        "u@h",
        "a:",
        "::1",
        "::1:8443",
        "[::1",
        "[::1]x",
        "[::1]x:8",
        "[]",
        "[a]",
        "[::1%1]:8",
        "[192.0.2.7]",
    ],
)
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a"):
        parse_host(text)


def test_a_source_follows_its_account_or_all() -> None:
    one, every = Source(name="a", host="h", account="27269"), Source(name="a", host="h")
    assert one.owns("27269")
    assert not one.owns("272690")
    assert every.owns("D1")
    assert not every.owns("")
