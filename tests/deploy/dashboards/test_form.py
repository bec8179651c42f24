"""The files that Grafana loads, as they lie on the disk, have the form that Grafana takes."""

import re
from itertools import combinations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.dashboards.__main__ import FOLDER
from tests.deploy.dashboards import grafana, official
from tests.deploy.rules import loaded

FILES = sorted(FOLDER.glob("*.json"))
PROVISIONING = FOLDER.parent / "provisioning"
BY_NAME = pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])


def read(file: Path) -> grafana.Dashboard:
    return msgspec.json.decode(file.read_bytes(), type=grafana.Dashboard)


def datasources() -> dict[str, str]:
    found = msgspec.convert(loaded(PROVISIONING / "datasources" / "tradecopier.yaml"), grafana.Datasources)
    return {source.uid: source.type for source in found.datasources}


@BY_NAME
def test_a_dashboard_has_nothing_but_what_grafana_reads(file: Path) -> None:
    for panel in read(file).panels:
        msgspec.convert(panel.options, grafana.OPTIONS[panel.type])
        for target in panel.targets:
            msgspec.convert(target, grafana.TARGETS[panel.datasource.type])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d.update(uuid="x"),
        lambda d: d["panels"][0].update(desciption="x"),
        lambda d: d["panels"][0]["gridPos"].update(x=24),
        lambda d: d["panels"][0]["fieldConfig"]["defaults"].update(unit="seconds"),
        lambda d: d["panels"][0]["fieldConfig"]["defaults"].pop("noValue"),
        lambda d: d["templating"]["list"][0].update(refresh="always"),
    ],
    ids=["unknown key", "misspelt", "off the grid", "no unit of Grafana's", "no empty state", "wrong type"],
)
def test_the_form_is_strict(spoil: Any) -> None:
    found = msgspec.json.decode(FILES[0].read_bytes())
    spoil(found)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(found, grafana.Dashboard)


@BY_NAME
def test_grafanas_own_types_read_all_of_it(file: Path) -> None:
    assert official.complaints(msgspec.json.decode(file.read_bytes())) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda p: p.update(desciption="x"), "panels.desciption is not known"),
        (lambda p: p["options"].update(loudness=3), "panels.options.loudness is not known"),
        (lambda p: p["options"].update(colorMode="loud"), "panels.options.color_mode cannot be 'loud'"),
        (lambda p: p["targets"][0].update(format="cake"), "panels.targets.format_val cannot be 'cake'"),
        (lambda p: p["fieldConfig"]["defaults"].update(unit=3), "panels.field_config.defaults.unit is a int"),
        (lambda p: p["fieldConfig"]["defaults"]["thresholds"].update(mode="x"), "thresholds.mode cannot be 'x'"),
    ],
    ids=["misspelt", "no such option", "no such colouring", "no such format", "no text", "no such mode"],
)
def test_grafanas_own_types_find_what_is_wrong(spoil: Any, said: str) -> None:
    found = msgspec.json.decode((FOLDER / "overview.json").read_bytes())
    spoil(found["panels"][0])

    assert [text for text in official.complaints(found) if said in text], official.complaints(found)


@BY_NAME
def test_panels_have_ids_of_their_own_and_no_two_share_a_cell(file: Path) -> None:
    panels = read(file).panels
    assert len({panel.id for panel in panels}) == len(panels)
    assert len({panel.title for panel in panels}) == len(panels), "an operator finds a panel by its title"
    for a, b in combinations(panels, 2):
        assert not grafana.overlapping(a.grid_pos, b.grid_pos), (a.title, b.title)
    assert all(panel.grid_pos.x + panel.grid_pos.w <= 24 for panel in panels)
    assert all(len({t["refId"] for t in panel.targets}) == len(panel.targets) for panel in panels)


@BY_NAME
def test_a_limit_rises_from_a_base_without_a_number(file: Path) -> None:
    for panel in read(file).panels:
        first, *others = [step.value for step in panel.field_config.defaults.thresholds.steps]
        assert first is None
        assert others == sorted(value for value in others if value is not None)


@BY_NAME
def test_every_variable_that_is_used_is_there(file: Path) -> None:
    board, text = read(file), file.read_text(encoding="utf-8")
    there = [variable.name for variable in board.templating.list]
    assert there == ["namespace", "source", "account"]
    assert set(grafana.variables(text)) <= {*there}
    for number, variable in enumerate(board.templating.list):
        needed = set(grafana.variables(variable.query.query))
        assert needed <= {*there[:number]}, "a variable is filled from those before it"


def test_a_variable_is_seen_however_it_is_written() -> None:
    assert [*grafana.variables('a{b=~"$one"} ${two:pipe} [[three]] $__range $1 x$')] == ["one", "two", "three"]


@BY_NAME
def test_every_datasource_is_provisioned_under_its_uid(file: Path) -> None:
    known, board = datasources(), read(file)
    named = [variable.datasource for variable in board.templating.list]
    for panel in board.panels:
        named += [panel.datasource, *(msgspec.convert(t["datasource"], grafana.Source) for t in panel.targets)]
    assert {(source.uid, source.type) for source in named} <= {*known.items()}


def test_no_two_boards_share_a_uid_and_no_two_datasources() -> None:
    assert len({read(file).uid for file in FILES}) == len(FILES) > 0
    listed = loaded(PROVISIONING / "datasources" / "tradecopier.yaml")["datasources"]
    assert len(datasources()) == len(listed)
    assert sum(source.get("isDefault", False) for source in listed) == 1


def test_the_dashboards_are_provisioned_from_the_folder_that_the_readme_names() -> None:
    found = msgspec.convert(loaded(PROVISIONING / "dashboards" / "tradecopier.yaml"), grafana.Providers)
    assert [provider.options.path for provider in found.providers] == ["${TRADECOPIER_DASHBOARDS}"]


def test_the_readme_explains_every_variable_of_the_environment() -> None:
    texts = [path.read_text(encoding="utf-8") for path in PROVISIONING.rglob("*.yaml")]
    asked = {name for text in texts for name in re.findall(r"\$\{(TRADECOPIER_\w+)\}", text)}
    told = re.findall(
        r"^\| `(TRADECOPIER_\w+)`", (FOLDER.parent / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert asked == {*told}
