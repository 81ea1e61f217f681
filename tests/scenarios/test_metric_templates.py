"""Rollouts whose metrics are written elsewhere, and what happens to them when that goes or changes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.status import Phase
from modelrollout.kube import Refused, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import CLUSTER_METRIC_TEMPLATES, METRIC_TEMPLATES
from tests import builders
from tests.fakes.town import Town
from tests.fakes.witness import Witness


def analysis(*templates: Manifest, **more: Any) -> Manifest:
    return {"interval": "15s", "templates": list(templates or [{"name": "errors"}]), **more}


def town_with(*templates: Manifest) -> Town:
    town = Town()
    for template in templates or (builders.metric_template(),):
        town.cluster.put(template)
    return town


def at(weight: int, wanted: Manifest, *templates: Manifest) -> Town:
    """Version 2 has so much of the traffic, judged by what a template says."""
    town = town_with(*templates)
    town.old = town.wish("1", analysis=wanted)
    town.go(Phase.HEALTHY, minutes=2)
    town.new = town.wish("2", analysis=wanted)
    town.go(Phase.PROGRESSING, weight)
    return town


def reason(town: Town, type_: str = "Ready") -> str:
    return next(condition.reason for condition in town.status.conditions if condition.type == type_)


def asked(town: Town) -> set[str]:
    return {query.promql for query in town.metrics.asked}


@pytest.mark.parametrize("kind", ["MetricTemplate", "ClusterMetricTemplate"])
def test_template_is_judged_by_like_metrics_of_ones_own(kind: str) -> None:
    town = at(25, analysis({"name": "errors", "kind": kind}), builders.metric_template(kind))
    assert [verdict.metric for verdict in town.status.verdicts] == ["errors"]
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert "errors" in town.status.rejected[0].message


def test_preset_is_judged_by_without_anything_else_in_the_cluster() -> None:
    town = at(25, {"interval": "15s", "presets": [{"name": "http", "include": ["errors"]}]})
    assert 'http_requests_total{namespace=~"ml|",pod=~"' in asked(town).pop()
    town.metrics.bad = {"2": 0.5}
    town.go(Phase.ROLLED_BACK, minutes=2)


def test_namespaced_template_and_that_of_the_cluster_are_two_things() -> None:
    town = town_with(builders.metric_template("ClusterMetricTemplate"))
    town.wish("1", analysis=analysis({"name": "errors"}))
    town.run(minutes=1)
    assert (town.phase, reason(town)) == (Phase.INVALID, "TemplateNotFound")
    assert "MetricTemplate 'errors' does not exist in the namespace" in town.status.message


def test_template_of_another_namespace_is_not_found() -> None:
    template = builders.metric_template()
    template["metadata"]["namespace"] = "elsewhere"
    town = town_with(template)
    town.wish("1", analysis=analysis())
    town.run(minutes=1)
    assert (town.phase, reason(town)) == (Phase.INVALID, "TemplateNotFound")


def test_template_that_is_not_there_yet_is_waited_for_and_no_failure() -> None:
    town = town_with(builders.metric_template(name="another"))
    town.wish("1", analysis=analysis())
    town.run(minutes=10)
    assert (town.phase, reason(town)) == (Phase.INVALID, "TemplateNotFound")
    assert "spec.analysis.templates[0]: MetricTemplate 'errors' does not exist" in town.status.message
    assert town.condition("Stalled") is None
    town.cluster.put(builders.metric_template())
    town.go(Phase.HEALTHY, minutes=1)


@pytest.mark.parametrize("weight", [5, 50, 100])
@pytest.mark.parametrize("broken", [None, {"metrics": []}, {"arguments": []}, {"metrics": [{"name": "errors"}]}])
def test_template_that_goes_or_breaks_moves_no_traffic_and_its_mending_goes_on(
    broken: Manifest | None, weight: int
) -> None:
    town = at(weight, analysis())
    town.metrics.bad = {"2": 0.5}  # nobody can tell
    witness = Witness(town)
    witness.look()
    if broken is None:
        town.cluster.remove(METRIC_TEMPLATES, "errors")
    else:
        town.cluster.put(builders.metric_template(**broken))
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.INVALID, weight)
    assert len(witness.history) == 1
    town.metrics.bad = {}
    town.cluster.put(builders.metric_template())
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_lost_readiness_takes_traffic_back_while_the_template_is_gone() -> None:
    town = at(25, analysis())
    town.cluster.remove(METRIC_TEMPLATES, "errors")
    town.run(seconds=10)
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert town.share(town.new) == 0


@pytest.mark.parametrize(
    "sentence", ["metrictemplates is forbidden", "the API server does not know metrictemplates; is the CRD installed?"]
)
def test_template_that_may_not_be_read_is_told_and_does_not_stop_passes(sentence: str) -> None:
    town = at(25, analysis())

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == METRIC_TEMPLATES.plural:
            raise Refused(403, sentence, "/apis")

    town.cluster.hook = refuse
    town.wish("2", analysis=analysis(), progressDeadline="9m")
    town.run(minutes=1)
    assert (town.phase, reason(town), town.share(town.new)) == (Phase.INVALID, "TemplateUnreadable", 25)
    assert sentence in town.status.message
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert town.share(town.new) == 0


def test_template_that_cannot_be_read_just_now_changes_nothing() -> None:
    town = at(25, analysis())
    before = town.status

    def be_away(moment: str, verb: str, plural: str, name: str) -> None:
        if plural == METRIC_TEMPLATES.plural:
            raise Unreachable("time-out")

    town.cluster.hook = be_away
    town.run(minutes=2)
    assert town.status == before
    assert town.troubles


def test_template_that_changes_applies_from_the_next_look() -> None:
    town = at(25, analysis())
    town.metrics.bad = {"1": 0.01, "2": 0.011}
    town.run(seconds=20)
    metric = {**builders.ERRORS, "name": "failures"}
    town.cluster.put(builders.metric_template(metrics=[metric]))
    town.run(seconds=20)
    assert [verdict.metric for verdict in town.status.verdicts] == ["failures"]


def test_limit_that_is_put_into_a_template_takes_back_what_breaks_it() -> None:
    town = at(50, analysis())
    town.metrics.bad = {"1": 0.04, "2": 0.04}
    town.run(seconds=30)
    assert town.phase is Phase.PROGRESSING
    town.cluster.put(builders.metric_template(metrics=[{**builders.ERRORS, "max": "1%"}]))
    changed = town.now
    town.go(Phase.ROLLED_BACK, minutes=2)
    assert town.now - changed < timedelta(seconds=40)


def test_ones_own_metric_takes_the_place_of_that_of_a_template() -> None:
    own = {**builders.ERRORS, "ratio": {part: f'own_{part}{{pod=~"{{{{ pods }}}}"}}' for part in ("bad", "total")}}
    town = at(25, analysis(metrics=[own]))
    assert {promql.split(",")[0] for promql in asked(town)} == {'{__name__=~"own_bad|own_total"'}


def test_arguments_reach_the_verdict() -> None:
    town = at(5, analysis({"name": "errors", "arguments": {"minSamples": "1000000000"}}))
    town.run(minutes=20)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 5)


def test_only_the_templates_that_are_referred_to_are_read() -> None:
    town = at(25, analysis(), builders.metric_template(), builders.metric_template(name="another"))
    town.cluster.requests.clear()
    town.pass_()
    reads = [(verb, plural) for verb, plural in town.cluster.requests if "templates" in plural]
    assert reads == [("get", METRIC_TEMPLATES.plural)]
    assert town.cluster.requests[reads[0]] == 1
    assert ("get", CLUSTER_METRIC_TEMPLATES.plural) not in town.cluster.requests
