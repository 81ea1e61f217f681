"""Alerts: promtool takes them and they fire when they should, they are about what exists, and say what to do."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest
from tests.chart.helm import CHART, needs_helm, only, rendered
from tests.chart.queries import labels_of
from tests.docs import document
from tests.places import ROOT

FILE = CHART / "files/alerts.yaml"
(GROUP,) = document(FILE)["groups"]
ALERTS: dict[str, Any] = {rule["alert"]: rule for rule in GROUP["rules"]}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="no promtool: it comes with Prometheus, which `make tools` installs"
)


def promtool(*arguments: str) -> None:
    made = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, cwd=ROOT)  # noqa: S603, S607
    assert made.returncode == 0, made.stdout + made.stderr


@needs_promtool
def test_promtool_takes_the_rules() -> None:
    promtool("check", "rules", str(FILE))


@needs_promtool
def test_alerts_fire_when_they_should_and_not_before() -> None:
    promtool("test", "rules", "tests/chart/alerts_test.yaml")


def test_every_alert_is_tried() -> None:
    cases = [
        case for test in document(ROOT / "tests/chart/alerts_test.yaml")["tests"] for case in test["alert_rule_test"]
    ]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_is_about_metrics_that_exist_and_names_labels_that_it_has(name: str) -> None:
    labels = labels_of(ALERTS[name]["expr"])
    assert {*re.findall(r"\$labels\.(\w+)", str(ALERTS[name]["annotations"]))} <= labels


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_and_leads_to_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in ("critical", "warning")
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^#+ (.*)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in [heading.lower().replace(" ", "-") for heading in headings]


def rules(**values: Any) -> Manifest:
    return only(
        rendered({"crds": {"enabled": False}, "metrics": {"rules": {"enabled": True, **values}}}), "PrometheusRule"
    )


@needs_helm
def test_the_charts_rules_are_those_of_the_file() -> None:
    (group,) = rules()["spec"]["groups"]
    assert group == GROUP


@needs_helm
def test_the_charts_rules_are_changed_one_by_one() -> None:
    made = rules(
        alertLabels={"team": "ml"},
        without=["ModelRolloutRolledBack"],
        stuckAfterSeconds=90000,
        runbook="https://docs.example/operations",
        **{"for": {"ModelRolloutBlind": "15m"}},
    )
    changed = {rule["alert"]: rule for rule in made["spec"]["groups"][0]["rules"]}
    assert changed.keys() == ALERTS.keys() - {"ModelRolloutRolledBack"}
    assert changed["ModelRolloutStuck"]["expr"] == ALERTS["ModelRolloutStuck"]["expr"].replace("21600", "90000")
    assert {rule["labels"]["team"] for rule in changed.values()} == {"ml"}
    assert (changed["ModelRolloutBlind"]["for"], changed["ModelRolloutStuck"]["for"]) == ("15m", "5m")
    assert changed["ModelRolloutStuck"]["annotations"]["runbook_url"] == (
        "https://docs.example/operations#modelrolloutstuck"
    )
