"""What the pages say exists: links, commands, settings, files."""

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.deploy import composefile
from tests.deploy.commands import SETTING, parsed, understood
from tests.docs.pages import PAGES, anchors, blocks, clone, commands, links
from tests.processes import ROOT

DOCS = ROOT / "docs"
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_every_command_is_one_that_we_know(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for words in commands(page):
        for name in words:
            if re.fullmatch(r"\w+\.jsonl", name):
                Path(name).touch()  # an earlier command of the page has made it
        if words != ["--version"]:
            parsed(words)


def test_a_command_that_is_not_there_would_be_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (page := tmp_path / "page.md").write_text("```\npython3 run.py status --loud\n```\n")
    with pytest.raises(Exception, match="No such option"):
        test_every_command_is_one_that_we_know(page, tmp_path, monkeypatch)


@each_page
def test_every_piece_of_settings_can_be_read(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language == "toml":
            (file := tmp_path / "tradecopier.toml").write_text(block.text)
            understood({}, file)


@each_page
def test_every_setting_in_the_environment_is_one_that_we_know(page: Path) -> None:
    values = {"METRICS": "127.0.0.1:1", "LISTEN": "127.0.0.1:1", "MODE": "live"}
    names = set(SETTING.findall(page.read_text(encoding="utf-8"))) - {"TRADECOPIER_SECTION__KEY"}
    understood({name: values.get(name.rpartition("__")[2], "x") for name in names if "MY_DEMO" not in name})


def test_every_unit_and_every_file_of_deploy_that_is_named_is_there() -> None:
    for page in PAGES:
        for named in re.findall(r"(?<![\w/])deploy[/\\][\w./\\@-]*\w", page.read_text(encoding="utf-8")):
            assert (ROOT / named.replace("\\", "/")).exists() or any(ROOT.glob(f"{named}*")), (page.name, named)


def test_compose_is_asked_for_services_and_profiles_that_it_has() -> None:
    compose = composefile.read()
    profiles = {profile for service in compose.services.values() for profile in service.profiles}
    text = (DOCS / "containers.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--profile (\w+)", text)) == profiles
    named = re.findall(r"compose\.yaml (?:run --rm|restart) (?:--entrypoint \w+ )?([\w-]+)", text)
    assert named
    assert set(named) <= set(compose.services)


def test_after_its_preparation_everything_that_compose_mounts_is_there_and_is_ours_alone(tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    (block,) = [block for block in blocks(DOCS / "containers.md") if block.language == "sh"]
    home = clone(tmp_path)
    subprocess.run(["sh", "-ec", block.text], cwd=home, env={**os.environ, "PYTHONPATH": ""}, check=True)
    compose = composefile.read()
    for secret in compose.secrets.values():
        file = home / "deploy" / secret.file
        assert file.is_file(), secret
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for service in compose.services.values():
        for mount in service.volumes:
            assert (home / "deploy" / mount.source).exists(), mount.source
