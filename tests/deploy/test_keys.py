"""Signing keys are exchanged in an order in which nobody ever meets one that he does not know."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import keys
from shared.process import UserError
from shared.settings import parse_keyring
from tests.deploy.test_fleet import written
from tests.e2e.processes import run

ONE, TWO = "k1:" + "ab" * 32, "k2:" + "cd" * 32
WORD = "ef" * 32


def test_a_new_key_is_accepted_then_signs_then_the_old_one_proves_the_archive_alone() -> None:
    both = keys.added([ONE], "k2", "cd" * 32)
    assert both == [ONE, TWO]

    turned = keys.used(both, "k2")
    assert turned == [TWO, ONE]

    assert keys.retired(turned, "k1") == [TWO, f"{ONE}:retired"]
    assert keys.retired(keys.retired(turned, "k1"), "k1") == [TWO, f"{ONE}:retired"]


MISTAKES = {
    "a name that is taken": (lambda: keys.added([ONE], "k1", WORD), "there is a key k1 already"),
    "a name that is none": (lambda: keys.added([ONE], "k 2", WORD), "a key's id is made of"),
    "using one that is not there": (lambda: keys.used([ONE], "k9"), "there is no key k9; there are: k1"),
    "using one that is retired": (lambda: keys.used([TWO, f"{ONE}:retired"], "k1"), "k1 is retired"),
    "retiring the one that signs": (lambda: keys.retired([ONE, TWO], "k1"), "k1 is the key that signs"),
}


@pytest.mark.parametrize(("attempt", "line"), MISTAKES.values(), ids=MISTAKES)
def test_refuses(attempt: object, line: str) -> None:
    assert callable(attempt)
    with pytest.raises(UserError, match=line):
        attempt()


@given(st.lists(st.sampled_from(["add", "use 1", "use 2", "use 3", "retire 1", "retire 2", "retire 3"]), max_size=12))
def test_whatever_is_done_one_key_signs_and_none_is_ever_lost(deeds: list[str]) -> None:
    found, made = [ONE], {"k1"}
    for deed in deeds:
        word, _, number = deed.partition(" ")
        try:
            if word == "add":
                found = keys.added(found, keys._next(found), WORD)
            else:
                found = (keys.used if word == "use" else keys.retired)(found, f"k{number}")
        except UserError:
            continue
        ring = parse_keyring(found, Path("file"))
        made |= {keys._id(line) for line in found}
        assert ring.current in ring.keys
        assert set(ring.keys) | set(ring.retired) == made


def test_the_commands_change_the_file_and_show_no_key(tmp_path: Path) -> None:
    path = tmp_path / "data" / "signing.key"
    path.parent.mkdir()
    path.write_text(f"{ONE}\n")
    path.chmod(0o600)
    config = ("--config", str(written(tmp_path, '[redis]\nurl = "redis://127.0.0.1:1/0"')))

    said = [run(*config, "key", *words) for words in (["add"], ["use", "k2"], ["retire", "k1"], ["list"])]

    assert [each.returncode for each in said] == [0, 0, 2, 0]
    assert "key use k2` on each" in said[0].stdout
    assert said[2].stderr.startswith("tradecopier: nothing was changed, Redis does not answer")
    assert [line.split()[:2] for line in said[3].stdout.splitlines()] == [["k2", "signs,"], ["k1", "is"]]
    assert "(Redis does not answer)" in said[3].stdout
    assert path.stat().st_mode & 0o077 == 0
    for word in ("ab" * 32, path.read_text().split()[0].split(":")[1]):
        assert not any(word in each.stdout + each.stderr for each in said)


def test_without_a_key_it_says_who_makes_the_first(tmp_path: Path) -> None:
    done = run("--config", str(written(tmp_path)), "key", "list")

    assert done.returncode == 2
    assert "the first is made by `tradecopier up`" in done.stderr


def test_the_first_key_is_made_once_and_shown_to_nobody(tmp_path: Path) -> None:
    config = ("--config", str(written(tmp_path, '[redis]\nurl = "redis://127.0.0.1:1/0"')))
    path = tmp_path / "data" / "signing.key"

    none, made, again = (run(*config, "key", word) for word in ("list", "make", "make"))

    assert (none.returncode, made.returncode, again.returncode) == (2, 0, 2)
    assert "`tradecopier key make`" in none.stderr
    assert "there are keys already" in again.stderr
    (line,) = keys.lines(path)
    assert line.startswith("k1:")
    assert line.partition(":")[2] not in made.stdout + again.stderr
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_where_no_key_can_be_kept_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    config = ("--config", str(written(tmp_path, '[redis]\nurl = "redis://127.0.0.1:1/0"')))

    said = run(*config, "key", "make")

    assert said.returncode == 2
    assert "cannot be written" in said.stderr
    assert "Traceback" not in said.stderr
