"""The chart's pods pass Pod Security "restricted", and run nothing that they need not."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest, merged
from tests.chart.helm import container, needs_helm, of_kind, rendered
from tests.chart.pod_security import violations
from tests.chart.test_values import EVERYTHING, SHOWS
from tests.fakes.town import releasing
from tests.scenarios.test_other_namespaces import SHADOW, comparers

GOOD: Manifest = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "it", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}}
    ],
}


def pods(objects: list[Manifest]) -> list[Manifest]:
    templates = [one["spec"]["template"]["spec"] for one in of_kind(objects, "Deployment")]
    return [*templates, *(one["spec"] for one in of_kind(objects, "Pod"))]


@pytest.mark.parametrize(
    ("pod", "of_container", "broken"),
    [
        ({}, {}, []),
        ({"hostNetwork": True}, {}, ["hostNetwork"]),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, {}, ["volume v: hostPath"]),
        ({"securityContext": {"runAsUser": 0}}, {}, ["runAsUser 0"]),
        ({"securityContext": {"runAsNonRoot": None}}, {}, ["it: runAsNonRoot"]),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}, {}, ["it: seccompProfile"]),
        ({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}, {}, ["sysctl kernel.msgmax"]),
        ({}, {"capabilities": {"drop": ["ALL"], "add": ["SYS_TIME"]}}, ["it: capabilities.add"]),
        ({}, {"capabilities": {"drop": ["NET_RAW"]}}, ["it: capabilities.drop"]),
        ({}, {"allowPrivilegeEscalation": None}, ["it: allowPrivilegeEscalation"]),
        ({}, {"privileged": True}, ["it: privileged"]),
        ({}, {"seLinuxOptions": {"user": "root"}}, ["it: seLinuxOptions"]),
    ],
)
def test_each_rule_of_restricted_is_looked_at(pod: Any, of_container: Any, broken: list[str]) -> None:
    whole = merged(GOOD, pod)
    whole["containers"] = [merged(GOOD["containers"][0], {"securityContext": of_container})]
    assert violations(whole) == broken


@needs_helm
@pytest.mark.parametrize("values", [{}, merged(EVERYTHING, SHOWS)], ids=["defaults", "everything"])
def test_the_charts_pods_are_restricted(values: Manifest) -> None:
    found = pods(rendered(values))
    assert len(found) == 2
    assert [violations(pod) for pod in found] == [[], []]


@needs_helm
def test_the_operators_pod_writes_nowhere_and_is_told_of_no_services() -> None:
    operator, _ = pods(rendered())
    assert container(rendered())["securityContext"]["readOnlyRootFilesystem"] is True
    # A Service named `modelrollout` would set MODELROLLOUT_PORT, which is a setting of the operator.
    assert operator["enableServiceLinks"] is False


def test_a_comparer_is_restricted_wherever_it_runs() -> None:
    town = releasing(stages=[SHADOW])
    town.run(until=lambda town: comparers(town) != [], minutes=10)
    assert [violations(pod) for pod in comparers(town)] == [[]]
