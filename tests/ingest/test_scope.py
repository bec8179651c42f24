import re

import pytest

from ingest.scope import hosts, pac, patterns
from ingest.source import Source

OPENED = [("broker.example", 443), ("localhost", 18443)]


def matches(place: str) -> bool:
    return any(re.search(pattern, place, re.IGNORECASE) for pattern in patterns(OPENED))


@pytest.mark.parametrize("place", ["broker.example:443", "BROKER.example:443", "localhost:18443"])
def test_a_configured_host_is_opened(place: str) -> None:
    assert matches(place)


@pytest.mark.parametrize(
    "place",
    [
        "broker.example:8443",
        "broker.example.evil.test:443",
        "evil-broker.example:443",
        "brokerXexample:443",
        "www.broker.example:443",
        "broker.example:4430",
        "localhost:443",
        "",
    ],
)
def test_every_other_host_stays_closed(place: str) -> None:
    assert not matches(place)


def test_an_address_of_ipv6_is_opened_and_a_browser_sends_it_whichever_way_it_writes_it() -> None:
    opened = [("2001:db8::a", 8443)]
    (pattern,) = patterns(opened)
    assert re.search(pattern, "2001:db8::a:8443")
    assert not any(
        re.search(pattern, other) for other in ("2001:db8::a:84430", "1:2001:db8::a:8443", "2001:db8::a:443")
    )
    text = pac(opened, "[::1]:8080", "direct")
    assert re.findall(r'^  "(.*?)",?$', text, re.MULTILINE) == ["2001:db8::a", "[2001:db8::a]"]
    assert '"PROXY [::1]:8080; DIRECT"' in text


def test_without_a_host_nothing_is_opened_where_the_proxy_would_open_everything() -> None:
    assert patterns([])
    assert not any(re.search(pattern, "anything.example:443") for pattern in patterns([]))


@pytest.mark.parametrize("host", ["papertrading.tradingview.com", "papertrading-free.tradingview.com"])
def test_paper_trading_has_its_fills_on_another_host(host: str) -> None:
    paper = Source(name="paper", protocol="paper", host=host)
    names = {name for name, _ in hosts(paper)}
    assert names == {"papertrading.tradingview.com", "papertrading-free.tradingview.com", "pushstream.tradingview.com"}
    assert hosts(Source(name="stand-in", protocol="paper", host="localhost", port=8443)) == (("localhost", 8443),)


def test_a_pac_file_names_exactly_the_trading_hosts_and_what_to_do_without_us() -> None:
    text = pac(OPENED, "127.0.0.1:8080", "direct")
    assert re.findall(r'^  "(.*?)",?$', text, re.MULTILINE) == ["broker.example", "localhost"]
    assert '? "PROXY 127.0.0.1:8080; DIRECT" : "DIRECT"' in text
    assert '? "PROXY 127.0.0.1:8080" : "DIRECT"' in pac(OPENED, "127.0.0.1:8080", "fail")
