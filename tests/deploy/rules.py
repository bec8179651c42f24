"""The rule files of Prometheus, read as plain values."""

from pathlib import Path
from typing import Any, cast

from msgspec import Struct
from ruamel.yaml import YAML

import deploy

FOLDER = Path(deploy.__file__).parent


class Rule(Struct, frozen=True, kw_only=True):
    """A recording rule (`record`) or an alert."""

    expr: str
    record: str = ""
    alert: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


def loaded(path: Path) -> Any:
    """A YAML file."""
    return YAML(typ="safe").load(path.read_text(encoding="utf-8"))


def rules(name: str) -> list[Rule]:
    """The rules of a file beside the package `deploy`."""
    groups = cast(list[dict[str, Any]], loaded(FOLDER / name)["groups"])
    fields = Rule.__struct_fields__
    return [Rule(**{k: v for k, v in r.items() if k in fields}) for group in groups for r in group["rules"]]


def recorded() -> dict[str, Rule]:
    """Recording rules by name."""
    return {rule.record: rule for rule in rules("recording.yml")}
