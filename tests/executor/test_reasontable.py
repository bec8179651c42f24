"""The document of reasons is what the code says, and says something about each."""

import subprocess
import sys

import pytest

from executor.classify import TABLE, Meaning
from executor.mt5.api import Retcode
from executor.reasons import Ignored, Obstacle, Reason
from executor.reasontable import MEANINGS, TO_DO, document
from tests.processes import ROOT


def test_the_document_is_made_from_the_code() -> None:
    written = (ROOT / "docs" / "denials.md").read_text(encoding="utf-8")
    assert written == document(), "run `python -m executor.reasontable > docs/denials.md`"


def test_the_command_in_it_writes_it() -> None:
    command = [sys.executable, "-m", "executor.reasontable"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)
    assert made.stdout == document()


@pytest.mark.parametrize("reason", [*Reason, *Ignored, *Obstacle])
def test_every_reason_is_in_it(reason: Reason | Ignored | Obstacle) -> None:
    assert f"\n| `{reason}` | " in document()


def test_every_retcode_and_everything_that_can_follow_from_one_is_in_it() -> None:
    assert set(TABLE) == set(Retcode)
    assert all(f"\n| {int(code)} | " in document() for code in Retcode)
    assert set(MEANINGS) == set(Meaning)
    assert set(TO_DO) == set(Reason)


def test_settings_that_it_names_are_there() -> None:
    from executor.settings import Account, Limits, Sizing

    known = {name.replace("_", "-") for table in (Account, Limits, Sizing) for name in table.__struct_fields__}
    named = {word.rpartition(".")[2] for line in TO_DO.values() for word in line.split("`")[1::2] if " " not in word}
    assert named - known - {"map", "quantity-unit"} == set()
