"""Root lets a server be somebody else without changing anybody's permissions."""

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy import unprivileged
from deploy.unprivileged import closed_parent, copied, hand_over, identity, nobody
from shared.process import UserError

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@pytest.fixture
def open_path() -> Iterator[Path]:
    """A directory that every user can reach, other than pytest's own."""
    path = Path(tempfile.mkdtemp())
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def test_without_root_nothing_has_to_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert identity(tmp_path) == "same"


@pytest.mark.parametrize(("allowed", "expected"), [(True, "namespace"), (False, nobody())])
def test_root_leaves_the_namespace_where_it_may_and_becomes_nobody_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: bool, expected: object
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unprivileged, "namespaces_allowed", lambda: allowed)
    assert identity(tmp_path / "not there yet") == expected


@only_root
def test_data_stays_with_whom_it_belongs_to(tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1235)
    assert identity(tmp_path) == (1234, 1235)


def test_a_parent_that_is_closed_to_others_is_found(open_path: Path) -> None:
    inner = open_path / "a" / "b"
    inner.mkdir(parents=True)
    assert closed_parent(inner) is None
    (open_path / "a").chmod(0o700)
    assert closed_parent(inner) == open_path / "a"
    assert closed_parent(open_path / "a") is None


def test_a_directory_that_nobody_can_reach_is_one_line_and_no_permission_changes(open_path: Path) -> None:
    (closed := open_path / "closed").mkdir(mode=0o700)
    with pytest.raises(UserError, match=f"cannot reach {closed}/data because {closed} is closed to others"):
        hand_over(closed / "data", open_path, (65534, 65534))
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700


@only_root
def test_the_directory_becomes_theirs_and_programs_out_of_reach_are_copied(open_path: Path) -> None:
    (data := open_path / "data").mkdir()
    (data / "password").touch()
    (programs := open_path / "closed" / "package" / "pginstall" / "bin").mkdir(parents=True)
    (programs / "postgres").write_text("program")
    (libraries := open_path / "closed" / "package.libs").mkdir()
    (libraries / "libpq").write_text("library")
    (open_path / "closed").chmod(0o700)
    there = hand_over(data, programs, (65534, 65534))
    assert there.is_relative_to(data)
    assert (there / "postgres").read_text() == "program"
    assert (there / "../../../package.libs/libpq").read_text() == "library"
    assert {path.stat().st_uid for path in (data, *data.rglob("*"))} == {65534}


def test_programs_are_copied_once_and_whole(open_path: Path) -> None:
    (source := open_path / "source").mkdir()
    (source / "file").write_text("new")
    (open_path / "programs.new").mkdir()
    (open_path / "programs.new" / "half").touch()
    there = copied(source, open_path / "programs", (os.getuid(), os.getgid()))
    (source / "file").write_text("newer")
    assert copied(source, open_path / "programs", (os.getuid(), os.getgid())) == there
    assert [(path.name, path.read_text()) for path in there.iterdir()] == [("file", "new")]
    assert not (open_path / "programs" / "half").exists()
