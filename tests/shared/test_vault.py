"""A secret is found where the settings say it is kept, refused where others can read it, and shown nowhere."""

import sys
import types
from pathlib import Path

import pytest

from shared import vault
from shared.process import UserError
from shared.settings import Secret


def kept(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("spelled", ["hush", "", "a:b", "redis://u:p@h/0", "C:\\key", "files:x", "file"])
def test_what_names_no_place_is_the_secret_itself(spelled: str) -> None:
    assert vault.found(spelled) == spelled
    assert not vault.elsewhere(spelled)


def test_a_file_holds_it_up_to_its_last_line_end(tmp_path: Path) -> None:
    path = kept(tmp_path, " pass word \n")

    assert vault.found(f"file:{path}") == " pass word "
    assert Secret(f"file:{path}").reveal() == " pass word "


def test_the_environment_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_SECRET", "hush")

    assert vault.found("env:THE_SECRET") == "hush"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_file_that_others_can_read_is_refused_with_what_to_do(tmp_path: Path, mode: int) -> None:
    path = kept(tmp_path, "hush", mode)

    with pytest.raises(UserError, match=rf"{path}: others can read the secret in it; run `chmod 600 {path}`") as caught:
        vault.found(f"file:{path}")

    assert "hush" not in str(caught.value)


def test_a_place_that_holds_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere: .*cannot be read"):
        vault.found(f"file:{tmp_path / 'nowhere'}")
    with pytest.raises(UserError, match="there is no secret in it"):
        vault.found(f"file:{kept(tmp_path, chr(10))}")
    with pytest.raises(UserError, match="NOT_THERE_AT_ALL, which is not set"):
        vault.found("env:NOT_THERE_AT_ALL")


def test_nothing_is_looked_up_before_it_is_needed() -> None:
    secret = Secret("file:/nowhere/at/all")

    assert "nowhere" not in repr(secret)


def library(found: dict[tuple[str, str], str]) -> types.ModuleType:
    """What the package keyring offers of itself, as far as it is used."""
    module = types.ModuleType("keyring")

    def get_password(service: str, name: str) -> str | None:
        if service == "locked":
            raise OSError("no way in")
        return found.get((service, name))

    module.__dict__["get_password"] = get_password
    return module


def test_the_operating_system_s_keyring_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", library({("trade/copier", "main"): "hush"}))

    assert vault.found("keyring:trade/copier/main") == "hush"
    with pytest.raises(UserError, match="no such entry; make it with `keyring set copier other`"):
        vault.found("keyring:copier/other")
    with pytest.raises(UserError, match="gives no answer"):
        vault.found("keyring:locked/main")


def test_without_the_library_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)

    with pytest.raises(UserError, match=r"install it with .*-m pip install keyring"):
        vault.found("keyring:copier/main")


def test_windows_keeps_no_such_bits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = kept(tmp_path, "hush", 0o644)
    monkeypatch.setattr(sys, "platform", "win32")

    assert vault.found(f"file:{path}") == "hush"
