"""`archiver` has all its commands, whether `up` runs or not."""

from deploy.archiving import archiver


def test_no_command_is_missing() -> None:
    assert sorted(archiver.commands) == ["migrate", "run", "status", "verify"]
