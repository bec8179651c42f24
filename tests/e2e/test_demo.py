"""The README's first command, with all its processes: what it shows, and what it leaves behind."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.demo import holdings
from deploy.demo.scenery import NAMESPACE
from deploy.embedded import Postgres, Valkey
from shared import streams
from tests.e2e.processes import PATIENCE_S, belonging_to, run, running, wait_until_gone

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="there are no embedded servers here"),
    pytest.mark.timeout(180),
]

FACTS = 12
"""Eight calls and the four fills that the polls show."""


def test_every_trade_is_copied_to_both_accounts_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "demo"
    monkeypatch.setenv("TRADECOPIER_INGEST__LISTEN", "nonsense")
    done = run("demo", "--data", str(folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("Every trade was copied.")
    for account in ("hedging", "netting"):
        lines = re.findall(
            rf"(?m)^ +{account}  (\w+) .*order_send after \d+\.\d ms +done after \d+\.\d ms$", done.stdout
        )
        assert lines == ["filled", "modified", "closed", "closed", "filled", "accepted", "modified", "canceled"]
    assert "refused" in done.stdout
    assert "DIFF" not in done.stdout
    assert done.stderr == ""
    assert belonging_to(folder) == {}


async def test_killing_the_supervisor_leaves_no_process_and_loses_no_data(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--keep", "--data", str(folder)) as demo:
        demo.until("Everything keeps running")
        words = " ".join(belonging_to(folder).values())
        for part in (
            "ingest run",
            "executor run",
            "archiver run",
            "simulator.server",
            "mt5.child",
            "valkey",
            "postgres",
        ):
            assert part in words
        demo.process.kill()
    wait_until_gone(folder)
    valkey, postgres = Valkey(folder / "data" / "valkey"), Postgres(folder / "data" / "postgres")
    try:
        await valkey.started()
        await postgres.started()
        redis = streams.connect(valkey.url)
        keys = streams.Keys(NAMESPACE)
        assert await redis.xlen(keys.orders) == FACTS
        assert await redis.xlen(keys.outcomes) >= 2 * FACTS
        await redis.aclose()
        archive = holdings.of_archive(postgres.dsn, NAMESPACE)
        assert len(archive.facts) == FACTS
        assert sum(row.final for row in archive.outcomes) == 2 * FACTS
    finally:
        valkey.stop()
        postgres.stop()


@pytest.mark.parametrize("moment", ["Starting", "Everything runs", "  3  "])
def test_ctrl_c_at_any_moment_ends_everything(tmp_path: Path, moment: str) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--data", str(folder)) as demo:
        demo.until(moment)
        demo.process.send_signal(signal.SIGINT)
        said, _ = demo.process.communicate(timeout=PATIENCE_S)
        assert demo.process.returncode == 130, said
    assert belonging_to(folder) == {}
    assert "Traceback" not in said


def test_a_trade_made_by_hand_as_it_says_is_copied_too(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    with running("demo", "--keep", "--data", str(folder)) as demo:
        demo.until("To trade by hand")
        told = [demo.until("")]
        while "requestId" not in told[-1]:
            told.append(demo.until(""))
        curl = "".join(told).strip().replace("curl", "curl --silent", 1)
        order = subprocess.run(["bash", "-c", curl], capture_output=True, text=True, timeout=30, check=True)
        assert '"s":"ok"' in order.stdout, order
        demo.until("order.placed  EURUSD  now 0.1")
        for account in ("hedging", "netting"):
            assert "filled" in demo.until(account)
        demo.process.send_signal(signal.SIGINT)
        demo.process.communicate(timeout=PATIENCE_S)
        assert demo.process.returncode == 0


def test_two_demos_run_at_the_same_time(tmp_path: Path) -> None:
    with (
        running("demo", "--data", str(tmp_path / "one")) as one,
        running("demo", "--data", str(tmp_path / "two")) as two,
    ):
        for demo in (one, two):
            said, _ = demo.process.communicate(timeout=2 * PATIENCE_S)
            assert demo.process.returncode == 0, said


def test_a_folder_that_is_not_empty_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "something").touch()
    done = run("demo", "--data", str(tmp_path))
    assert done.returncode == 2
    assert re.fullmatch(r"tradecopier: .* is not empty; .*\n", done.stderr)
    assert [file.name for file in tmp_path.iterdir()] == ["something"]
