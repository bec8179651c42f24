"""Only addresses of this machine alone count as such."""

import pytest

from shared.listening import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_this_machine_alone(host: str) -> None:
    assert is_loopback(host)


EVERYWHERE = "0.0.0.0"  # noqa: S104  nobody listens there


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "[::]", "192.168.1.2", "desk.example", "", "localhost.example"])
def test_others_too(host: str) -> None:
    assert not is_loopback(host)
