"""The suite notices when a safety is missing, by the fault it stands against; with all of them it finds nothing."""

from pathlib import Path

import pytest

from deploy.chaos import checker
from deploy.chaos.checker import Finding
from deploy.chaos.pipeline import Pipeline, Servers
from deploy.chaos.timing import SCALE, shipped
from deploy.chaos.trial import settled
from tests.deploy.chaos.drills import DRILLS, Drill, redis_forgets

SETTLE_S, SOUND_S = 12.0, 120.0
"""What lacks a safety need not come to rest."""

SOUND = ("-m", "deploy")

pytestmark = pytest.mark.timeout(400)


async def drilled(pair: Servers, folder: Path, name: str, through: tuple[str, ...], patience: float) -> list[Finding]:
    act, _, story, accounts = DRILLS[name]
    namespace = f"{name}-{'sound' if through == SOUND else 'mutant'}".replace("_", "-")
    pipeline = Pipeline(folder / "drill", pair, namespace, shipped().over(SCALE), accounts, through)
    try:
        await pipeline.start()
        drill = Drill(pipeline, story)
        await act(drill)
        pipeline.held.clear()
        await drill.teller.tell(len(story))
        found = await settled(pipeline, story, patience)
    finally:
        await pipeline.stop()
    # After a failover the archive keeps both histories; the stream has one.
    return [f for f in checker.check(story, found) if not ("the archive has" in f.text and act is redis_forgets)]


@pytest.mark.parametrize("name", DRILLS)
async def test_a_missing_safety_is_noticed(pair: Servers, tmp_path: Path, name: str) -> None:
    found = await drilled(pair, tmp_path, name, ("-m", "tests.deploy.chaos.mutants", name), SETTLE_S)

    assert DRILLS[name].fault in {finding.fault for finding in found}, found


@pytest.mark.parametrize("name", DRILLS)
async def test_with_every_safety_nothing_is_found(pair: Servers, tmp_path: Path, name: str) -> None:
    assert await drilled(pair, tmp_path, name, SOUND, SOUND_S) == []
