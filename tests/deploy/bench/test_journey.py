"""The settings that orders are measured under; the whole journey is in `test_latency.py`."""

from pathlib import Path

from deploy import settings
from deploy.bench.journey import ACCOUNT, ORDERS_PER_MINUTE, write_settings
from deploy.demo.scenery import Scenery
from executor.settings import Limits


def test_one_account_follows_with_every_guard_as_a_user_has_it_but_one(tmp_path: Path) -> None:
    place = Scenery(folder=tmp_path, proxy_port=4711)
    write_settings(place, 4712, tmp_path / "ca.pem")
    machine = settings.load(place.config, place.data, {})
    assert set(machine.executor.accounts) == {ACCOUNT}
    account = machine.executor.accounts[ACCOUNT]
    assert account.live
    assert account.limits == Limits(max_orders_per_minute=ORDERS_PER_MINUTE)
