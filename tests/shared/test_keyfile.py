"""A process learns the keys that are put into its key file, and keeps those it has while the file cannot be used."""

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.directory import write_whole
from shared import keyfile
from shared.settings import Security, keyring
from shared.wire import Codec, Keyring, RetiredKey, UnknownKey
from tests.shared.samples import placed

ONE, TWO = "k1:" + "ab" * 32, "k2:" + "cd" * 32
EVERY_S = 0.005


def read(path: Path) -> Keyring:
    return keyring(Security(signing_key_file=path))


async def becomes(wanted: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not wanted():
            await asyncio.sleep(EVERY_S)


async def test_keys_are_added_put_first_and_retired_while_codecs_are_in_use(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    write_whole(path, ONE)
    ring, other = read(path), tmp_path / "other"
    write_whole(other, f"{TWO}\n{ONE}")
    ours, theirs = Codec("main", ring), Codec("main", read(other))
    following = asyncio.create_task(keyfile.follow(ring, EVERY_S))
    signed = theirs.entry("orders", placed())
    assert ours.fact(signed) == UnknownKey("k2")

    write_whole(path, f"{ONE}\n{TWO}")
    await becomes(lambda: ours.fact(signed) == placed())
    assert ours.entry("orders", placed())[b"k"] == b"k1"

    write_whole(path, f"{TWO}\n{ONE}")
    await becomes(lambda: ours.entry("orders", placed())[b"k"] == b"k2")
    before = theirs.entry("orders", placed(), key="k1")
    assert ours.fact(before) == placed()

    write_whole(path, f"{TWO}\n{ONE}:retired")
    await becomes(lambda: ours.fact(before) == RetiredKey("k1"))
    assert Codec("main", ring.with_retired()).fact(before) == placed()
    following.cancel()


@pytest.mark.parametrize("spoilt", ["", "k1", "k1:zz", None])
async def test_a_file_that_cannot_be_used_changes_nothing_and_is_said(
    tmp_path: Path, spoilt: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "signing.key"
    write_whole(path, ONE)
    ring = read(path)
    following = asyncio.create_task(keyfile.follow(ring, EVERY_S))
    await asyncio.sleep(0)

    if spoilt is None:
        path.unlink()
    else:
        write_whole(path, spoilt)
    await becomes(lambda: "the keys stay as they were" in caplog.text)

    assert (ring.current, set(ring.keys)) == ("k1", {"k1"})
    write_whole(path, TWO)
    await becomes(lambda: ring.current == "k2")
    following.cancel()


async def test_a_drive_that_hangs_holds_up_nobody_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, hanging, stat = tmp_path / "signing.key", threading.Event(), Path.stat
    write_whole(path, ONE)
    ring, answers = read(path), threading.Event()

    def hangs(found: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        if found == path and threading.current_thread().daemon:
            hanging.set()
            assert answers.wait(30), "the drive comes back"
        return stat(found, follow_symlinks=follow_symlinks)

    monkeypatch.setattr(Path, "stat", hangs)
    following = asyncio.create_task(keyfile.follow(ring, EVERY_S, hangs=EVERY_S))
    await becomes(hanging.is_set)
    await becomes(lambda: "its drive does not answer" in caplog.text)

    write_whole(path, TWO)
    answers.set()
    await becomes(lambda: ring.current == "k2")
    assert caplog.text.count("does not answer") == 1
    following.cancel()


async def test_a_process_may_end_while_a_drive_hangs(tmp_path: Path) -> None:
    """The thread that looks is not waited for, neither by whoever ends the task nor by the interpreter."""
    path = tmp_path / "signing.key"
    os.mkfifo(path)  # to open it waits for somebody who writes
    path.chmod(0o600)
    following = asyncio.create_task(keyfile.follow(Keyring(current="k1", keys={"k1": b"1" * 32}, file=str(path))))
    await becomes(lambda: any(thread.name == "signing key" for thread in threading.enumerate()))
    following.cancel()
    await asyncio.wait({following}, timeout=10)
    assert following.cancelled()
    (looking,) = [thread for thread in threading.enumerate() if thread.name == "signing key"]
    assert looking.daemon
    path.write_text(ONE)
    await becomes(lambda: not looking.is_alive())


async def test_a_ring_that_was_read_from_no_file_is_left_alone() -> None:
    await keyfile.follow(Keyring(current="k1", keys={"k1": b"1" * 32}))


def test_nothing_is_said_when_the_keys_are_the_same(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "signing.key"
    write_whole(path, ONE)
    ring = read(path)

    with caplog.at_level(logging.INFO):
        keyfile.take_over(ring, read(path))

    assert caplog.text == ""
