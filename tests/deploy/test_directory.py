"""The small files beside a server's data."""

import os
import socket
import stat
from collections import deque
from pathlib import Path

import pytest

from deploy.directory import PORTS, choose_port, free_port, is_free, lock_file, log_file, secret, write_whole
from shared.process import UserError
from tests.processes import python, told


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_password_is_made_once_and_for_us_alone(tmp_path: Path) -> None:
    first = secret(tmp_path / "password")
    assert len(first) >= 22
    assert mode(tmp_path / "password") == 0o600
    assert secret(tmp_path / "password") == first
    assert secret(tmp_path / "another") != first


def test_a_password_that_others_can_read_is_refused(tmp_path: Path) -> None:
    secret(tmp_path / "password")
    (tmp_path / "password").chmod(0o644)

    with pytest.raises(UserError, match="others can read the password; run `chmod 600"):
        secret(tmp_path / "password")


def test_a_file_of_another_user_stays_that_user_s(tmp_path: Path) -> None:
    write_whole(tmp_path / "key", "one")
    theirs = (1234, 1234) if os.geteuid() == 0 else (os.geteuid(), os.getegid())  # only root can write such a file
    os.chown(tmp_path / "key", *theirs)

    write_whole(tmp_path / "key", "two")

    found = (tmp_path / "key").stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (*theirs, 0o600)


def test_a_file_is_replaced_whole_even_after_an_attempt_that_broke_off(tmp_path: Path) -> None:
    (tmp_path / "port.new").write_text("123")
    write_whole(tmp_path / "port", "456")
    assert (tmp_path / "port").read_text() == "456\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "port"]


def test_a_port_is_remembered(tmp_path: Path) -> None:
    port = choose_port(tmp_path / "port", None, "Server")
    assert is_free(port)
    assert choose_port(tmp_path / "port", None, "Server") == port


def test_a_remembered_port_that_somebody_took_is_replaced(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        write_whole(tmp_path / "port", str(taken.getsockname()[1]))
        port = choose_port(tmp_path / "port", None, "Server")
        assert port != taken.getsockname()[1]
    assert (tmp_path / "port").read_text() == f"{port}\n"


@pytest.mark.parametrize("garbage", ["", "abc", "0", "70000", "-1"])
def test_a_port_file_that_makes_no_sense_is_ignored(tmp_path: Path, garbage: str) -> None:
    (tmp_path / "port").write_text(garbage)
    assert 0 < choose_port(tmp_path / "port", None, "Server") < 65536


def test_a_pinned_port_is_taken_or_refused_but_never_replaced(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"Server cannot listen on 127.0.0.1:{port}: the port is in use"):
            choose_port(tmp_path / "port", port, "Server")
    assert choose_port(tmp_path / "port", free := free_port(), "Server") == free


def test_a_chosen_port_is_none_that_a_system_gives_away_and_is_chosen_once() -> None:
    chosen = [free_port() for _ in range(200)]
    assert len(set(chosen)) == 200
    assert set(chosen) <= set(PORTS)
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        assert somebody.getsockname()[1] not in PORTS


def test_a_port_that_is_taken_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setattr("deploy.directory.PORTS", range(port, port + 1))
        monkeypatch.setattr("deploy.directory._candidates", lambda: iter([port]))
        with pytest.raises(UserError, match=f"no port from {port} to {port} is free"):
            free_port()


def test_a_port_that_another_process_was_given_is_not_chosen_before_its_server_listens_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = """
        import sys
        from deploy.directory import free_port
        print(free_port(), flush=True)
        sys.stdin.read()
    """
    another = free_port()
    with python(source) as holder:
        theirs = int(told(holder))
        monkeypatch.setattr("deploy.directory._candidates", lambda: iter([theirs, another]))
        with pytest.raises(UserError, match="is free"):
            free_port()
        with socket.create_server(("127.0.0.1", theirs)):
            assert not is_free(theirs)
        holder.kill()
        holder.wait()
        monkeypatch.setattr("deploy.directory._candidates", lambda: iter([another, theirs]))
        assert free_port() == theirs


def test_only_the_ports_chosen_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.directory.HELD", 2)
    held: deque[int] = deque()
    monkeypatch.setattr("deploy.directory._held", lambda: held)
    first, *_ = [free_port() for _ in range(4)]

    assert len(held) == 2
    monkeypatch.setattr("deploy.directory._candidates", lambda: iter([first]))
    assert free_port() == first
    for descriptor in held:
        os.close(descriptor)


def test_a_lock_excludes_other_processes_until_its_holder_is_gone(tmp_path: Path) -> None:
    source = """
        import sys
        from pathlib import Path
        from deploy.directory import lock_file
        print(lock_file(Path(sys.argv[1])), flush=True)
        sys.stdin.read()
        import time; time.sleep(3600)
    """
    with python(source, str(tmp_path / "lock")) as holder:
        assert told(holder) != "None"
        assert lock_file(tmp_path / "lock") is None
        holder.kill()
        holder.wait()
        assert lock_file(tmp_path / "lock") is not None


def test_a_log_that_grew_too_long_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.directory.LOG_LIMIT", 5)
    for text in (b"first start\n", b"second\n"):
        with log_file(tmp_path / "log") as log:
            log.write(text)
    assert (tmp_path / "log.1").read_bytes() == b"first start\n"
    assert (tmp_path / "log").read_bytes() == b"second\n"
    assert mode(tmp_path / "log") == 0o600
