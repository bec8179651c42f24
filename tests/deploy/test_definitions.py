"""The catalogue of metrics is what the code defines, and every definition keeps the conventions."""

import re
from pathlib import Path

import deploy
from deploy.definitions import catalogue, definitions, services
from shared.metrics import BUCKETS

CATALOGUE = Path(deploy.__file__).resolve().parents[1] / "docs" / "metrics.md"
LABELS = {
    "account", "source", "kind", "note", "reason", "result", "retcode", "stage", "state", "stream", "group", "hook",
    "condition", "limit", "path", "reference", "service", "version", "python",
}  # fmt: skip


def test_the_catalogue_is_what_the_code_defines() -> None:
    assert CATALOGUE.read_text(encoding="utf-8") == catalogue(), "run `python -m deploy.definitions > docs/metrics.md`"


def test_names_have_the_prefix_and_end_in_what_they_count() -> None:
    for one in definitions().values():
        assert re.fullmatch(r"tradecopier_[a-z_]+", one.name)
        assert one.name.endswith("_total") == (one.kind == "counter"), one.name
        assert one.text.endswith("."), one.name


def test_labels_come_from_closed_sets_never_an_id_or_a_symbol() -> None:
    assert {label for one in definitions().values() for label in one.labels} <= LABELS


def test_durations_share_one_set_of_buckets() -> None:
    for one in definitions().values():
        if one.kind == "histogram" and one.name.endswith("_seconds"):
            assert one.buckets == BUCKETS, one.name


def test_what_services_share_means_the_same_in_each() -> None:
    texts: dict[str, set[str]] = {}
    for found in services().values():
        for one in found:
            texts.setdefault(one.name, set()).add(one.text)
    assert all(len(each) == 1 for each in texts.values())
