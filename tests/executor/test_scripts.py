"""Each script checks before it writes, and the fence writes nothing at all. What they do is tested with the ledger."""

import re

import pytest

from executor import scripts

WRITES = r"redis\.call\('(HSET|HDEL|HINCRBY|XADD|XACK|PEXPIRE|SET|DEL)'"
SCRIPTS = {name: getattr(scripts, name) for name in ("BEGIN", "FENCE", "COMMIT", "RENEW", "NOTE", "TIGHTEN")}


@pytest.mark.parametrize("text", SCRIPTS.values(), ids=SCRIPTS)
def test_the_lease_is_checked_before_anything_else(text: str) -> None:
    calls = re.findall(r"redis\.call\('(\w+)', KEYS\[(\d)\]", text)

    assert calls[0] == ("GET", "1")


def test_the_fence_writes_nothing() -> None:
    assert not re.search(WRITES, scripts.FENCE)


def test_only_a_commit_writes_outcomes_and_acknowledges() -> None:
    assert [name for name, text in SCRIPTS.items() if "'XADD'" in text or "'XACK'" in text] == ["COMMIT"]
