"""Rules and alerts: over series that exist, each with a way out in the runbook, each seen to fire and to be silent."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import deploy
from deploy.definitions import series
from tests.deploy import promql
from tests.deploy.alertcases import CASES, Situation
from tests.deploy.rules import FOLDER, Rule, loaded, recorded, rules

ROOT = Path(deploy.__file__).resolve().parents[1]
ALERTS = rules("alerts.yml")
EVERY = [*rules("recording.yml"), *ALERTS]

promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")


@pytest.mark.parametrize("rule", EVERY, ids=[rule.record or rule.alert for rule in EVERY])
def test_a_rule_is_promql_over_series_that_exist(rule: Rule) -> None:
    known, ours = series() | {"up": frozenset[str]()}, recorded()
    for name, labels in promql.selectors(promql.parsed(rule.expr)):
        assert name in known or name in ours
        assert name in ours or labels <= known[name] | promql.ADDED


@pytest.mark.parametrize("rule", ALERTS, ids=[rule.alert for rule in ALERTS])
def test_an_alert_says_what_is_wrong_what_to_do_and_where_to_read_on(rule: Rule) -> None:
    assert rule.labels["severity"] in ("page", "ticket")
    assert rule.annotations["summary"]
    assert rule.annotations["action"].endswith(".")
    path, _, section = rule.annotations["runbook"].partition("#")
    titles = re.findall(r"^## (.+)$", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert section in [title.lower() for title in titles]


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    titles = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert titles == [rule.alert for rule in ALERTS]


def test_what_holds_alerts_back_names_alerts_that_exist() -> None:
    example = loaded(FOLDER / "alertmanager.example.yml")
    named = re.findall(r'alertname=~?"([^"]+)"', json.dumps(example["inhibit_rules"]).replace('\\"', '"'))
    assert {name for each in named for name in each.split("|")} <= {rule.alert for rule in ALERTS}


def test_every_alert_has_a_case() -> None:
    assert list(CASES) == [rule.alert for rule in ALERTS]


@promtool
@pytest.mark.parametrize("name", ["recording.yml", "alerts.yml"])
def test_promtool_takes_the_rules(name: str) -> None:
    checked = subprocess.run(["promtool", "check", "rules", FOLDER / name], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@promtool
def test_promtool_takes_the_configuration() -> None:
    command = ["promtool", "check", "config", str(FOLDER / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@promtool
@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_and_is_silent(alert: str, tmp_path: Path) -> None:
    """Each silence stands beside a fire under the same query, so neither can be for want of data."""
    case = CASES[alert]

    for situation in (case.fires, *case.fires_too):
        assert fires(situation, alert, tmp_path)
    for situation in (case.silent, *case.silent_too):
        assert not fires(situation, alert, tmp_path)


def fires(situation: Situation, alert: str, folder: Path) -> bool:
    """Whether the alert fires. promtool is told to expect silence, and fails where there is none."""
    document = {
        "rule_files": [str(FOLDER / "recording.yml"), str(FOLDER / "alerts.yml")],
        "evaluation_interval": "2m" if situation.at.endswith("h") else "15s",
        "tests": [
            {
                "interval": "5s",
                "input_series": [{"series": name, "values": values} for name, values in situation.series.items()],
                "alert_rule_test": [{"eval_time": situation.at, "alertname": alert, "exp_alerts": []}],
            }
        ],
    }
    path = folder / "test.yml"
    path.write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML
    ran = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    said = ran.stdout + ran.stderr
    assert ran.returncode == 0 or f'alertname="{alert}"' in said, said
    return ran.returncode != 0
