"""Each kind of fault and each named point in turn: nothing is lost, doubled or hidden, and every point is come to.

`tradecopier chaos --seeds 25`, a step of the checks by itself, does the same with more of each.
"""

from pathlib import Path

import pytest

from deploy.chaos.faults import KINDS, Fault
from deploy.chaos.pipeline import HEDGING, MIXED, Servers
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import trial

PARTS, ACTIONS, FIRST, APART = 4, 60, 5, 5
POINTED = ("die-at-", "pause-at-")


def faults(part: int) -> list[Fault]:
    """A share of all kinds, evenly over the story, on each account in turn."""
    accounts = tuple(HEDGING if part % 2 == 0 else MIXED)
    return [
        Fault(at=FIRST + APART * number, kind=kind, account=accounts[number % len(accounts)], nth=1)
        for number, kind in enumerate(KINDS[part::PARTS])
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
async def test_nothing_is_found_and_every_point_is_come_to(pair: Servers, tmp_path: Path, part: int) -> None:
    planned = faults(part)
    result = await trial(part, pair, tmp_path / f"part-{part}", shipped().over(SCALE), ACTIONS, planned)

    assert result.findings == ()
    assert {fault.kind for fault in planned if fault.kind.startswith(POINTED)} <= set(result.reached)


def test_all_kinds_have_their_turn() -> None:
    planned = [fault for part in range(PARTS) for fault in faults(part)]

    assert sorted(fault.kind for fault in planned) == sorted(KINDS)
    assert max(fault.at for fault in planned) < ACTIONS - APART
