"""`modelrollout lint` and `render`: the operator's own words for what is in files, and what it would make of it."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
import yaml

from modelrollout.cli import lint, render
from modelrollout.cli.written import read
from modelrollout.objects.manifests import Manifest
from tests import builders
from tests.broken import Broken
from tests.broken_specs import BROKEN, ONLY_THE_OPERATOR
from tests.builders import edited
from tests.places import ROOT

ROLLOUT = """\
apiVersion: modelrollout.dev/v1alpha1
kind: ModelRollout
metadata: {name: fraud}
spec:
  model: {name: fraud, version: "1"}
  workload:
    template:
      apiVersion: apps/v1
      kind: Deployment
      spec: {replicas: 1, template: {spec: {containers: [{name: server, image: "fraud:{{ model.version }}"}]}}}
  traffic: {port: 8080, gatewayAPI: {parentRefs: [{name: inference}]}}
  stages:
  - name: canary
    canary:
      weights: [5, 50, 100]
  analysis: {readinessOnly: true}
"""
FINE = "1 object of modelrollout.dev checked: nothing to mend.\n"


def said(*files: Path) -> str:
    """All lines, without the folder."""
    linted = lint.lint([*read([str(file) for file in files])], "default")
    return str(linted).replace(f"{files[0].parent}/", "")


def written(folder: Path, text: str, name: str = "fraud.yaml") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_good_file_is_told_to_be_one(tmp_path: Path) -> None:
    assert said(written(tmp_path, ROLLOUT)) == FINE


def test_a_mistake_is_told_with_its_line_and_in_the_operators_words(tmp_path: Path) -> None:
    text = ROLLOUT.replace("[5, 50, 100]", "[50, 5]")
    assert said(written(tmp_path, text)).startswith(
        "fraud.yaml:15: error: ModelRollout 'fraud': InvalidSpec: spec.stages[0].canary.weights is [50, 5]: "
    )


@pytest.mark.parametrize("broken", [*BROKEN, *ONLY_THE_OPERATOR], ids=lambda broken: broken.mistake)
def test_whatever_the_definition_or_the_operator_refuses_is_said(tmp_path: Path, broken: Broken) -> None:
    rollout = {"apiVersion": "modelrollout.dev/v1alpha1", "kind": "ModelRollout", "metadata": {"name": "fraud"}}
    text = json.dumps({**rollout, "spec": edited(broken.edits)})
    assert broken.sentence in said(written(tmp_path, text))


def test_each_document_of_a_file_has_its_own_lines(tmp_path: Path) -> None:
    other = ROLLOUT.replace("fraud}", "other}").replace("8080", "80800")
    text = f"---\n{ROLLOUT}---\n---\napiVersion: v1\nkind: ConfigMap\n---\n{other}"
    (line,) = said(written(tmp_path, text)).splitlines()
    assert line.startswith("fraud.yaml:33: error: ModelRollout 'other': InvalidSpec: spec.traffic.port is 80800: ")


def test_objects_of_a_list_are_read_one_by_one(tmp_path: Path) -> None:
    items = [builders.rollout("1"), builders.rollout("1", stages=[])]
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})
    (line,) = said(written(tmp_path, text)).splitlines()
    assert "ModelRollout 'fraud': InvalidSpec: spec.stages is []: " in line
    assert text.splitlines()[int(line.split(":")[1]) - 1].strip() == "stages: []"


def test_a_field_that_stands_twice_is_found(tmp_path: Path) -> None:
    text = ROLLOUT + "  progressDeadline: 5m\n  progressDeadline: 6m\n"
    message = "ModelRollout 'fraud': progressDeadline stands here a second time: take one of them out"
    assert said(written(tmp_path, text)) == f"fraud.yaml:18: error: {message}\n"


def test_templates_are_taken_from_any_of_the_files(tmp_path: Path) -> None:
    text = ROLLOUT.replace("{readinessOnly: true}", "{templates: [{name: errors}]}")
    rollout, template = written(tmp_path, text), written(tmp_path, json.dumps(TEMPLATE), "errors.yaml")
    alone, both = said(rollout), said(rollout, template)
    assert alone.startswith(
        "fraud.yaml:16: warning: ModelRollout 'fraud': TemplateNotFound: spec.analysis.templates[0]"
    )
    assert "is in none of these files, so what depends on it is not checked" in alone
    assert alone.endswith(FINE)
    assert both == FINE.replace("1 object", "2 objects")


@pytest.mark.parametrize("spec", [None, 5, [], {}, {"template": 5}])
def test_an_object_that_is_none_is_not_taken_for_the_one_that_is_named(tmp_path: Path, spec: object) -> None:
    rollout = builders.rollout("1", workload={"workloadRef": {"kind": "Deployment", "name": "fraud"}})
    named = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fraud", "namespace": "ml"}}
    text = "\n---\n".join(map(json.dumps, (rollout, {**named, "spec": spec})))
    assert "WorkloadNotFound" in said(written(tmp_path, text))


TEMPLATE: Manifest = {**builders.metric_template(), "metadata": {"name": "errors"}}


def test_a_template_of_metrics_is_checked_by_itself(tmp_path: Path) -> None:
    text = json.dumps({**TEMPLATE, "spec": {"metrics": []}})
    assert said(written(tmp_path, text)).startswith(
        "fraud.yaml:1: error: MetricTemplate 'errors': InvalidMetricTemplate: spec.metrics is []: "
    )


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("v1alpha1", "v1", "fraud.yaml:1: error: ModelRollout 'fraud': apiVersion is modelrollout.dev/v1: write"),
        ("{name: fraud}", "{}", "fraud.yaml:3: error: ModelRollout '': metadata.name is missing: add it"),
        ("{name: fraud}", "{name: Fraud}", "fraud.yaml:3: error: ModelRollout 'Fraud': metadata.name is"),
        ('"1"', "2026-01-01", FINE),  # to the API server a date is a text
        (
            "{name: fraud}",
            "{name: fraud, namespace: 5}",
            "fraud.yaml:3: error: ModelRollout 'fraud': metadata.namespace is",
        ),
        ("{name: fraud}", "{name: fraud, annotations: 5}", FINE),  # none of the operator's business
        ("kind: ModelRollout", "kind: Rollout", "fraud.yaml: error: there is nothing of modelrollout.dev in here"),
    ],
)
def test_what_stands_outside_of_the_spec_is_checked_too(tmp_path: Path, old: str, new: str, line: str) -> None:
    assert said(written(tmp_path, ROLLOUT.replace(old, new, 1))).startswith(line)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: b: c", "fraud.yaml:1: this is no YAML: "),
        ("a: \a", "fraud.yaml:1: this is no YAML: unacceptable character"),
        ("kind: A\nb: !!int abc", "fraud.yaml:2: this is no YAML: the value is no int."),
        ("kind: A\nb: [!!timestamp soon]", "fraud.yaml:2: this is no YAML: the value is no timestamp."),
        ("kind: A\nb: !!bool maybe", "fraud.yaml:2: this is no YAML: the value is no bool."),
        ("kind: A\nb: !!int ''", "fraud.yaml:2: this is no YAML: the value is no int."),
        ("kind: A\nb: " + "9" * 5000, "fraud.yaml:2: this is no YAML: the value is no int."),
        ("kind: A\nb: " + "[" * 3000, "fraud.yaml: this is nested too deeply to be read."),
        ("- a\n", "fraud.yaml:1: this is no object of Kubernetes."),
        ("---\nkind: []\n", "fraud.yaml:2: this is no object of Kubernetes: apiVersion or kind is missing."),
    ],
)
def test_a_file_that_cannot_be_read_ends_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    file = written(tmp_path, text)
    for command in (lint, render):
        assert command.run(Namespace(files=[str(file)], namespace="default")) == 2
        assert words in capsys.readouterr().err
    assert lint.run(Namespace(files=[str(tmp_path / "gone.yaml")], namespace="default")) == 2
    assert "gone.yaml cannot be read: No such file or directory." in capsys.readouterr().err


def test_objects_are_rendered_as_the_operator_would_make_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert render.run(Namespace(files=[str(written(tmp_path, ROLLOUT))], namespace="ml")) == 0
    made = [*yaml.safe_load_all(capsys.readouterr().out)]
    assert [(one["kind"], one["metadata"]["namespace"]) for one in made] == [
        ("Deployment", "ml"),
        ("Service", "ml"),
        ("HTTPRoute", "ml"),
    ]
    workload, _, route = made
    assert workload["spec"]["template"]["spec"]["containers"] == [{"name": "server", "image": "fraud:1"}]
    assert route["spec"]["rules"][0]["backendRefs"] == [
        {"name": workload["metadata"]["name"], "port": 80, "weight": 100}
    ]
    assert not [one for one in made if "ownerReferences" in one["metadata"]]


def test_a_route_of_the_users_is_rendered_from_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = ROLLOUT.replace("gatewayAPI: {parentRefs: [{name: inference}]}", "routeRef: {name: models, rule: fraud}")
    rule = {"name": "fraud", "backendRefs": [{"name": "before", "port": 80}]}
    route = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "models"}}
    spec = {"parentRefs": [{"name": "inference"}], "hostnames": ["fraud.example.com"], "rules": [rule]}
    files = [written(tmp_path, text), written(tmp_path, json.dumps({**route, "spec": spec}), "route.json")]
    assert render.run(Namespace(files=[*map(str, files)], namespace="default")) == 0
    (made,) = (one for one in yaml.safe_load_all(capsys.readouterr().out) if one["kind"] == "HTTPRoute")
    assert made["spec"]["hostnames"] == ["fraud.example.com"]
    assert made["spec"]["rules"][0]["backendRefs"][0]["name"].startswith("fraud-")


def test_nothing_is_rendered_where_something_has_to_be_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, ROLLOUT.replace("8080", "80800"))
    assert render.run(Namespace(files=[str(file)], namespace="default")) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "spec.traffic.port is 80800" in captured.err


def test_the_command_reads_the_standard_input_and_says_by_its_exit_code_what_it_found() -> None:
    text = (ROOT / "examples/digits.yaml").read_text()
    for given, code in ((text, 0), (text.replace("canary:", "canary: {}\n    kanary:"), 1)):
        command = [sys.executable, "-m", "modelrollout", "lint", "-"]
        ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603
        assert ran.returncode == code, ran.stderr
        assert ran.stdout.startswith("1 object of" if code == 0 else "stdin:")
