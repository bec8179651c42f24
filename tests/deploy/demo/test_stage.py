"""One run of the demo; with all its processes it is in `tests/e2e/test_demo.py`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from deploy.demo import scenery
from deploy.demo.follower import Follower
from deploy.demo.scenery import Scenery
from deploy.demo.stage import Stage, nothing_copied
from deploy.directory import free_port
from shared.facts import Amount, Exposure, PositionClosed
from shared.process import Stop, UserError

FACT = PositionClosed(
    id="f", source="demo", account="1", instrument="EURUSD", model="hedging", producer="p", seq=1,
    captured=datetime(2026, 1, 5, tzinfo=UTC),
    exposure=Exposure(position="o1", revision=1, before=Amount(), after=Amount()),
)  # fmt: skip


async def test_a_trade_that_was_not_copied_makes_the_verdict_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = scenery._account
    monkeypatch.setattr(
        scenery,
        "_account",
        lambda name, margin: written(name, margin).replace("live", "live" if name == "hedging" else "shadow"),
    )
    lines: list[str] = []
    place = Scenery(folder=tmp_path, proxy_port=free_port())
    ended = await Stage(Stop(), place, lines.append).play(keep=False)
    assert ended.good is False
    differing = [line for line in lines if "DIFF" in line]
    assert any("netting: fills" in line for line in differing)
    assert not any("hedging" in line for line in differing)
    assert lines[-1].strip().startswith("NOT everything")


class Followed:
    """What was published, for a test."""

    calls = (FACT, FACT)


def test_a_refused_order_that_was_published_all_the_same_is_an_alarm() -> None:
    follower = cast(Follower, Followed())
    assert nothing_copied(follower, 2) == "nothing was copied"
    with pytest.raises(UserError, match="a refused order was published: f"):
        nothing_copied(follower, 1)
