"""The module that stands in for the vendor's package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from executor.mt5.codes import LastError
from executor.mt5.simulator import client
from executor.mt5.simulator.surface import LinkFailed
from tests.executor.mt5.simulated import SimulatorProcess

DATA = json.loads((Path(__file__).parents[1] / "data" / "mt5_api.json").read_text())
CONVENIENCE = {"Buy", "Sell", "Close"}


def test_the_module_has_every_function_of_the_package_but_the_convenience_ones() -> None:
    missing = {name for name in DATA["functions"] if not callable(getattr(client, name, None))}
    assert missing == CONVENIENCE


def test_the_module_has_every_constant_of_the_package() -> None:
    for name, value in DATA["constants_flat"].items():
        assert getattr(client, name) == value
    with pytest.raises(AttributeError, match="TRADE_RETCODE_HEDGE_PROHIBITED"):
        _ = client.TRADE_RETCODE_HEDGE_PROHIBITED


@pytest.mark.parametrize("path", ["127.0.0.1:1", "C:/Program Files/terminal64.exe", "127.0.0.1:99999999"])
def test_nobody_at_the_address_reads_like_a_terminal_that_cannot_start(path: str) -> None:
    with pytest.raises(LinkFailed) as failed:
        client.connect(path)
    assert failed.value.code == LastError.E_INTERNAL_FAIL_INIT
    assert failed.value.detail == f"Process create failed '{path}'"


def test_a_terminal_that_is_gone_breaks_the_link_at_the_next_call(
    simulator: Callable[..., SimulatorProcess],
) -> None:
    broker = simulator(prices="still")
    link = client.connect(broker.address)
    assert link.call("version", {}).code == LastError.S_OK
    broker.kill()
    codes = []
    for _ in range(2):
        with pytest.raises(LinkFailed) as failed:
            link.call("version", {})
        codes.append(failed.value.code)
    link.close()
    assert set(codes) <= {LastError.E_INTERNAL_FAIL_SEND, LastError.E_INTERNAL_FAIL_RECEIVE}
