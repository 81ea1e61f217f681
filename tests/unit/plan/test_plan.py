"""What a spec means, what a pass needs to know, and when the next one is due."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.plan.plan import Plan
from modelrollout.plan.planner import plan
from modelrollout.promql.query import Query
from modelrollout.rollout.rollout import Wish, parse, read_wish
from tests import builders
from tests.fakes.cluster import merged
from tests.fakes.town import Town, releasing

PLAIN = {"port": 8080, "service": {}}


def revision(**changes: Any) -> str:
    wish = read_wish(merged(builders.spec(), changes))
    assert isinstance(wish, Wish), wish
    return wish.revision


def deployment(**changes: Any) -> Manifest:
    return {"template": {"spec": changes}}


# What a spec means


@pytest.mark.parametrize(
    ("why", "changes", "is_new"),
    [
        ("nothing", {}, False),
        ("another version", {"model": {"version": "2"}}, True),
        ("another name", {"model": {"name": "churn"}}, True),
        ("another place of its files", {"model": {"uri": "s3://models/2"}}, True),
        ("another image", {"workload": deployment(template={"spec": {"containers": [{"image": "x"}]}})}, True),
        ("a label of the pods", {"workload": deployment(template={"metadata": {"labels": {"a": "b"}}})}, True),
        ("more pods", {"workload": deployment(replicas=9)}, False),
        ("an autoscaler's pods", {"workload": deployment(replicas=None)}, False),
        ("another way to roll pods", {"workload": deployment(strategy={"type": "Recreate"})}, False),
        ("other stages", {"stages": [{"name": "all", "canary": {"weights": [100]}}]}, False),
        ("another router", {"traffic": {"gatewayAPI": None, "service": {}}}, False),
        ("another metric", {"analysis": {"metrics": [{**builders.ERRORS, "max": "1%"}]}}, False),
        ("a longer bake", {"promotion": {"bake": "1h"}}, False),
    ],
)
def test_revision_changes_with_what_decides_the_answers(why: str, changes: Manifest, is_new: bool) -> None:
    assert (revision(**changes) != revision()) is is_new


def test_template_is_filled_with_the_models_names() -> None:
    spec = builders.spec("7", model={"name": "fraud", "version": "7", "uri": "s3://m/7"})
    container = {"name": "s", "image": "r/{{ model.name }}:{{ model.version }}", "args": ["--from={{ model.uri }}"]}
    spec["workload"]["template"]["spec"]["template"]["spec"]["containers"] = [container]
    wish = read_wish(spec)
    assert isinstance(wish, Wish)
    (made,) = wish.template["spec"]["template"]["spec"]["containers"]
    assert (made["image"], made["args"]) == ("r/fraud:7", ["--from=s3://m/7"])


@pytest.mark.parametrize(
    ("changes", "reason", "names"),
    [
        ({"promotion": {"bakee": "1m"}}, "InvalidSpec", "spec.promotion.bakee"),
        ({"stages": []}, "InvalidSpec", "spec.stages"),
        ({"workload": deployment(template={"spec": {"containers": []}})}, "InvalidTemplate", "containers"),
        (
            {"workload": deployment(template={"spec": {"containers": [{"image": "x:{{ model.tag }}"}]}})},
            "InvalidTemplate",
            "model.tag",
        ),
        (
            {"analysis": {"metrics": [{**builders.ERRORS, "ratio": {"bad": "b{p='{{ pod }}'}", "total": "t"}}]}},
            "Invalid",
            "pod",
        ),
        (
            {"workload": deployment(replicas=None), "traffic": {**PLAIN, "gatewayAPI": None}},
            "InvalidTemplate",
            "replicas",
        ),
    ],
)
def test_spec_that_makes_no_sense_is_told_with_its_field(changes: Manifest, reason: str, names: str) -> None:
    found = read_wish(merged(builders.spec(), changes))
    assert isinstance(found, Finding)
    assert found.reason.startswith(reason)
    assert names in found.message


def test_name_that_no_service_can_have_is_refused_before_anything_is_made() -> None:
    manifest = builders.rollout()
    manifest["metadata"]["name"] = "fraud.detector"
    fault = parse(manifest, {}).fault
    assert fault is not None
    assert "metadata.name" in fault.message


# What a pass needs to know


def asked(town: Town, after: float = 0) -> tuple[Query, ...]:
    question = plan(town.rollout(), town.world(), town.now + timedelta(seconds=after)).questions
    return question.queries if question else ()


def made(town: Town) -> Plan:
    return plan(town.rollout(), town.world(), town.now)


def at(weight: int) -> Town:
    town = releasing()
    town.go(Phase.PROGRESSING, weight)
    town.run(seconds=20)
    return town


def test_both_arms_are_asked_about_the_same_time() -> None:
    queries = asked(at(25))
    assert [query.arm for query in queries] == ["candidate", "stable"]
    assert {tuple(part for part, _ in query.parts) for query in queries} == {("bad", "total")}
    assert len({(query.start, query.end) for query in queries}) == 1


def test_same_look_asks_the_same_and_the_next_one_more() -> None:
    town = at(25)
    first = asked(town)
    assert asked(town, after=2) == first
    later = asked(town, after=15)
    assert {query.start for query in later} == {query.start for query in first}
    assert {two.end - one.end for one, two in zip(first, later, strict=True)} == {timedelta(seconds=15)}


def test_stable_that_serves_nobody_by_design_is_not_asked_about() -> None:
    assert {query.arm for query in asked(at(100))} == {"candidate"}


def test_nothing_is_asked_before_the_first_look_is_due() -> None:
    town = releasing()
    town.go(Phase.PROGRESSING, 5)
    assert asked(town) == ()
    assert asked(town, after=16) != ()


def test_nothing_is_asked_while_there_is_no_candidate() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    assert asked(town, after=60) == ()


def test_past_of_stable_is_asked_about_once_while_the_candidate_starts() -> None:
    town = releasing()
    town.cluster.slow = timedelta(seconds=20)
    town.metrics.is_down = True
    town.go(Phase.PENDING)
    town.run(seconds=5)
    assert {query.arm for query in asked(town)} == {"history"}
    town.metrics.is_down = False
    town.go(Phase.PROGRESSING, 5)
    assert asked(town) == ()
    assert town.status.evidence is not None
    assert [one.metric for one in town.status.evidence.usual] == ["errors"]


def test_nothing_is_asked_about_a_candidate_whose_traffic_is_withheld() -> None:
    town = at(25)
    town.cluster.broken = {"2"}
    town.run(seconds=10)
    assert asked(town, after=60) == ()


def test_nothing_is_asked_while_the_spec_is_broken_or_asks_for_another_version() -> None:
    town = at(25)
    town.wish("3")
    assert asked(town) == ()
    town.wish("2", stages=[])
    assert asked(town) == ()


# When the next pass is due


def test_next_pass_is_due_with_the_next_look() -> None:
    town = at(25)
    recheck = made(town).recheck
    assert recheck is not None
    town.now += recheck - timedelta(milliseconds=1)
    before = asked(town)
    town.now += timedelta(milliseconds=1)
    assert asked(town) != before


def test_a_gateway_that_never_follows_is_looked_at_ever_less_often_and_once_an_interval_at_least() -> None:
    town = releasing(stages=[{"name": "c", "canary": {"weights": [50], "hold": "10s"}}])
    town.run(until=lambda town: town.phase is Phase.PROGRESSING, minutes=5)
    town.run(seconds=5)
    town.cluster.is_gateway_down = True
    town.go(Phase.PROMOTING)
    begun, due = town.status.stage.entered, list[timedelta | None]()
    for seconds in (1, 40, 100, 3600):
        town.now = begun + timedelta(seconds=seconds)
        due.append(made(town).recheck)
    interval = town.rollout().wish.spec.analysis.interval.timedelta
    assert due[:2] == [timedelta(seconds=1), timedelta(seconds=4)]
    assert all(each is not None and each <= interval for each in due)


def test_next_pass_over_a_healthy_rollout_is_due_when_the_old_version_may_go_and_else_never() -> None:
    town = releasing()
    town.go(Phase.HEALTHY)
    over = town.now
    town.run(seconds=10)
    recheck = made(town).recheck
    assert recheck is not None
    assert abs(town.now + recheck - over - timedelta(minutes=5)) <= timedelta(seconds=1)
    town.run(minutes=6)
    assert made(town).recheck is None


def test_evidence_that_only_grew_is_shown_once_a_minute() -> None:
    town = releasing(stages=[{"name": "c", "canary": {"weights": [5], "hold": "1h"}}])
    town.go(Phase.PROGRESSING, 5)
    town.run(minutes=2)
    town.cluster.log.clear()
    town.run(minutes=10)
    assert 8 <= len(town.cluster.log) <= 10
    assert {verb for verb, _, _ in town.cluster.log} == {"status"}
