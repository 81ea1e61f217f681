"""AdmissionReviews of rollouts that are applied: warned of what cannot be seen, never denied, never kept waiting."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.kube import Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.shell.admission import Advisor, NotAReviewError
from tests import builders
from tests.builders import ERRORS
from tests.fakes.applied import NOON, History, applied, review, serving
from tests.fakes.cluster import FakeCluster, Hook

SEES = (
    r"errors: at 50 requests/s and 0\.1% errors, 5 % for 60 s can see .*% or more; the whole plan of 3 min .*% or more"
    r"; at this traffic the plan will probably take about 21 min \(5 % alone about 13 min\)"
)


def advisor(history: History, cluster: FakeCluster | None = None, **kwargs: Any) -> Advisor:
    return Advisor(cluster or FakeCluster(), history, clock=lambda: NOON, **kwargs)  # type: ignore[arg-type]


async def warnings(
    new: Manifest, old: Manifest | None = None, history: History | None = None, cluster: FakeCluster | None = None
) -> list[str]:
    """What an apply of `new` over `old` prints."""
    answer = await advisor(history or History(), cluster).review(review(new, old))
    assert answer["response"]["uid"] == "review-1"
    assert answer["response"]["allowed"] is True
    return list(answer["response"].get("warnings", []))


async def test_warns_of_a_metric_in_which_a_doubling_cannot_be_seen() -> None:
    (told,) = await warnings(applied(), serving())
    assert re.fullmatch(SEES, told)


async def test_warns_of_what_stands_in_the_open() -> None:
    request = {**builders.smoke(), "headers": [{"name": "X-Api-Key", "value": "k"}, {"name": "x-tenant", "value": "t"}]}
    spec = builders.spec("2", stages=[builders.blue_green(smoke=[request])])
    assert await warnings({**builders.rollout(), "spec": spec}) == [
        "stages[switch].smoke[predicts]: the value of header X-Api-Key can be seen by whoever may read this "
        "ModelRollout: take one that opens nothing else"
    ]


async def test_says_nothing_where_the_traffic_is_enough() -> None:
    assert await warnings(applied(), serving(), History(rps=50_000)) == []


async def test_warns_of_a_selector_that_finds_pods_of_the_same_names_in_another_namespace() -> None:
    anywhere = {part: text.replace('namespace="{{ namespace }}",', "") for part, text in ERRORS["ratio"].items()}
    new = applied(analysis={"interval": "15s", "metrics": [{**ERRORS, "ratio": anywhere}]})
    assert await warnings(new, serving(), History(rps=50_000, namespaces=("ml", "staging"))) == [
        "errors: 8 series are not counted, of pods named like those of stable in namespace staging: "
        'add namespace="{{ namespace }}" to its selectors'
    ]


async def test_says_nothing_at_the_first_apply() -> None:
    history, first = History(), builders.rollout()
    assert await warnings(first, None, history) == []
    assert history.asked == []


@pytest.mark.parametrize(
    ("new", "why"),
    [
        (serving(), "nothing changed"),
        ({**serving(), "metadata": {**serving()["metadata"], "labels": {"a": "b"}}}, "the spec did not change"),
        (applied("1", progressDeadline="20m"), "no release comes of it, and none is judged otherwise"),
        ({**applied(), "metadata": {**serving()["metadata"], "deletionTimestamp": "2026-01-01T11:00:00Z"}}, "it goes"),
    ],
)
async def test_asks_nothing_where_there_is_nothing_to_warn_of(new: Manifest, why: str) -> None:
    history = History()
    assert await warnings(new, serving(), history) == [], why
    assert history.asked == [], why


async def test_warns_when_only_the_plan_changes() -> None:
    stages = [{"name": "canary", "canary": {"weights": [5, 100], "hold": "1m"}}]
    assert len(await warnings(applied("1", stages=stages), serving())) == 1


async def test_says_what_only_the_operator_can_find_wrong() -> None:
    analysis = {"metrics": [], "templates": [{"name": "errors"}]}
    told = await warnings(applied(analysis=analysis), serving())
    assert [sentence.split(":")[0] for sentence in told] == ["TemplateNotFound"]
    assert "MetricTemplate 'errors' does not exist" in told[0]


async def test_reads_the_templates_that_a_spec_refers_to() -> None:
    cluster = FakeCluster()
    cluster.put(builders.metric_template())
    analysis = {"metrics": [], "templates": [{"name": "errors"}]}
    (told,) = await warnings(applied(analysis=analysis), serving(), cluster=cluster)
    assert re.fullmatch(SEES, told)


async def test_asks_the_server_that_the_spec_names() -> None:
    history = History()
    analysis = {**builders.spec()["analysis"], "prometheus": {"url": "http://other:9090"}}
    await warnings(applied(analysis=analysis), serving(), history)
    assert history.urls == ["http://other:9090"]


async def test_warns_of_a_server_that_this_operator_does_not_ask() -> None:
    history = History()
    analysis = {**builders.spec()["analysis"], "prometheus": {"url": "http://prometheus.other-team.svc:9090"}}
    asked = review(applied(analysis=analysis), serving())
    answer = await advisor(history, addresses=AllowedAddresses()).review(asked)
    (told,) = answer["response"]["warnings"]
    assert told.startswith(
        "AddressNotAllowed: spec.analysis.prometheus.url: http://prometheus.other-team.svc:9090 is not asked."
    )
    assert history.asked == []


async def test_a_prometheus_that_is_away_costs_no_word() -> None:
    assert await warnings(applied(), serving(), History(is_away=True)) == []


async def test_an_api_server_that_is_away_costs_no_word() -> None:
    def away(moment: str, verb: str, plural: str, name: str) -> None:
        raise Unreachable("connection refused")

    hook: Hook = away
    analysis = {"metrics": [], "templates": [{"name": "errors"}]}
    assert await warnings(applied(analysis=analysis), serving(), cluster=FakeCluster(hook=hook)) == []


async def test_nobody_waits_for_a_prometheus_that_hangs() -> None:
    patient = advisor(History(is_hanging=True), patience=timedelta(milliseconds=50))
    reviews = [patient.review(review(applied(), serving())) for _ in range(20)]  # more than may ask at the same time
    answers = await asyncio.wait_for(asyncio.gather(*reviews), 5)
    assert [answer["response"] for answer in answers] == [{"uid": "review-1", "allowed": True}] * 20


async def test_a_status_that_no_operator_wrote_is_left_alone() -> None:
    strange = {"status": {"stable": "fraud"}}
    assert await warnings({**applied(), **strange}, {**serving(), **strange}) == []


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {}},
        {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview"},
        {**review(applied()), "request": {"uid": "1", "namespace": "ml", "object": None}},
    ],
)
async def test_what_is_no_review_is_said_to_be_none(body: Any) -> None:
    with pytest.raises(NotAReviewError):
        await advisor(History()).review(body)
