"""What Prometheus finds beside an arm's own series: pods elsewhere, a process again, or only a part of all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelrollout.api.status import Phase, Verdict
from modelrollout.promql.query import Series
from tests import builders
from tests.fakes.town import Town, releasing

BY_PODS_ALONE = {
    **builders.ERRORS,
    "ratio": {
        "bad": 'http_requests_total{pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{pod=~"{{ pods }}"}',
    },
}
PARTIAL = "Prometheus at http://thanos has only a partial answer: store-b:10901: rpc error: Unavailable"

Found = tuple[Series, ...]


def under(found: Found, *, times: float = 1.0, **labels: str) -> Found:
    """The same series with other labels, and so many times as much in them."""
    return tuple(
        Series({**one.labels, **labels}, tuple((at, round(value * times)) for at, value in one.samples))
        for one in found
    )


def and_elsewhere(found: Found) -> Found:
    """In another namespace pods of the same names fail half of their requests."""
    requests = tuple(one for one in found if one.labels["code"] == "200")
    theirs = under(requests, namespace="staging", code="500")
    return (*found, *under(requests, namespace="staging"), *theirs)


def through_two_services(found: Found) -> Found:
    return (*under(found, service="fraud"), *under(found, service="fraud-b41c"))


def by_two_jobs_that_disagree(found: Found) -> Found:
    one = under(found, job="pods", instance="10.0.0.7:8080")
    return (*one, *under(found, times=1.5, job="services", instance="10.0.0.7:8080"))


def finding(finds: Callable[[Found], Found]) -> Town:
    """Version 2 with its first traffic, judged by errors of pods that are told by their names alone."""
    town = releasing(analysis={"interval": "15s", "metrics": [BY_PODS_ALONE]})
    town.metrics.finds = finds
    town.go(Phase.PROGRESSING, 5)
    town.run(seconds=45)
    return town


def test_errors_of_pods_of_the_same_names_in_another_namespace_take_nothing_back() -> None:
    town = finding(and_elsewhere)
    (verdict,) = town.status.verdicts
    assert "2 series are not counted, of pods named like those of the candidate in namespace staging" in verdict.message
    town.go(Phase.HEALTHY)
    assert town.share(town.new) == 100


def test_that_other_namespaces_are_selected_is_told_when_a_release_begins() -> None:
    town = releasing(analysis={"interval": "15s", "metrics": [BY_PODS_ALONE]})
    town.metrics.finds = and_elsewhere
    town.run(until=lambda town: town.condition("Sensitive") is not None, minutes=2)
    (usual,) = town.status.evidence.usual if town.status.evidence else ()
    assert usual.note is not None
    assert 'of stable in namespace staging: add namespace="{{ namespace }}" to its selectors' in usual.note
    assert not town.status.verdicts


def test_a_pod_that_is_scraped_through_two_services_is_evidence_once() -> None:
    once, twice = finding(tuple), finding(through_two_services)
    (verdict,), (alone,) = twice.status.verdicts, once.status.verdicts
    assert (verdict.samples, verdict.stable_samples) == (alone.samples, alone.stable_samples)
    assert '1 pod of the candidate is scraped more than once (service "fraud" and "fraud-b41c")' in verdict.message
    twice.go(Phase.HEALTHY)


def test_scrapes_that_disagree_hold_the_step_until_one_is_dropped() -> None:
    town = finding(by_two_jobs_that_disagree)
    town.run(minutes=20)
    (verdict,) = town.status.verdicts
    assert (verdict.verdict, town.share(town.new)) == (Verdict.NO_DATA, 5)
    assert "and the counts do not agree: drop one of the scrapes" in verdict.message
    town.metrics.finds = tuple
    town.go(Phase.HEALTHY)


@pytest.mark.parametrize("bad", [0.0, 0.25])
def test_a_partial_answer_holds_the_step_and_its_words_are_told(bad: float) -> None:
    town = finding(tuple)
    town.metrics.bad = {"2": bad}
    town.metrics.is_down, town.metrics.why_down = True, PARTIAL
    town.run(minutes=20)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 5)
    (told,) = (one.message for one in town.status.conditions if one.type == "AnalysisAvailable")
    assert told == f"errors: {PARTIAL}."
