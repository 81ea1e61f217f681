"""`plan` is a function: same input, same output, nothing changed in place, and an answer to whatever there is."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st

from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.manifests import MODEL, REJECTED, Manifest
from modelrollout.plan.planner import finalise, plan
from modelrollout.promql.query import Answered, Series, Unanswered
from modelrollout.traffic.plain_service import WEIGHT
from modelrollout.traffic.router import SINCE
from modelrollout.trial.world import World
from tests.fakes.cluster import copied
from tests.fakes.town import NOON, Town, releasing

EXAMPLES = int(os.environ.get("MODELROLLOUT_EXAMPLES", "0"))
many = settings(
    max_examples=10 * EXAMPLES or 300,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=list(Phases) if EXAMPLES else [Phases.generate],
    suppress_health_check=list(HealthCheck),
)
GARBAGE = ["", "{", "null", "[]", '{"revision": 1}', "NaN", "-7", "ä", "2026-01-01", "9999-12-31T00:00:00Z", "25"]
OURS = [MODEL, REJECTED, SINCE, WEIGHT]


@cache
def towns() -> list[Town]:
    """A rollout in each phase and with each router, as the cluster holds it."""
    found = []
    for traffic in ({"port": 8080, "gatewayAPI": {"parentRefs": [{"name": "g"}]}}, {"port": 8080, "service": {}}):
        for phase in (Phase.PENDING, Phase.PROGRESSING, Phase.BAKING, Phase.HEALTHY):
            town = releasing(traffic=traffic)
            town.go(phase)
            town.run(seconds=20)
            found.append(town)
        town.metrics.bad = {"3": 0.5}
        town.wish("3", traffic=traffic)
        town.go(Phase.ROLLED_BACK)
        found.append(town)
    return found


def everything(town: Town, seen: World, minutes: int, mode: str) -> list[Any]:
    """All that can be asked of the planner about one moment."""
    rollout, now = town.rollout(), NOON + timedelta(minutes=minutes)
    first = plan(rollout, seen, now)
    answer = {
        "none": Answered(()),
        "down": Unanswered("connection refused", rejected=False),
        "odd": Answered((Series({}, ((0.0, float("nan")), (1e12, float("inf")))),)),
    }
    look = first.questions
    second = plan(rollout, seen.heard(look, dict.fromkeys(look.queries, answer[mode])), now) if look else first
    return [first, second, finalise(rollout.owner, seen)]


# What may be wrong with an object; the API server lets all of it pass


@st.composite
def damages(draw: st.DrawFn) -> list[tuple[str, Any]]:
    one = st.one_of(
        st.tuples(st.just("annotation"), st.tuples(st.sampled_from(OURS), st.sampled_from(GARBAGE))),
        st.tuples(st.just("drop"), st.sampled_from(["status", "labels", "annotations", "ownerReferences", "object"])),
        st.tuples(st.just("replicas"), st.sampled_from([0, 1, 40, None])),
        st.tuples(st.just("rules"), st.sampled_from(RULES)),
        st.tuples(st.just("ports"), st.sampled_from([None, [], [{"port": 80}], [{"port": 80, "targetPort": "http"}]])),
        st.tuples(st.just("selector"), st.sampled_from([None, {}, {"app": "x"}])),
        st.tuples(st.just("pod"), st.sampled_from([{}, {"conditions": []}, {"containerStatuses": [{"name": "c"}]}])),
        st.tuples(st.just("owner"), st.sampled_from(["another", "uid-fraud"])),
    )
    return draw(st.lists(st.tuples(st.integers(0, 40), one), min_size=1, max_size=6))


RULES: list[Any] = [
    None,
    [],
    [{}],
    [{"filters": [{"type": "RequestRedirect"}]}],
    [{"backendRefs": [{"name": "theirs"}]}, {"backendRefs": [{"name": "theirs", "weight": 0}]}],
    [{"backendRefs": [{"name": "a", "weight": 3}, {"name": "a", "weight": None}]}],
]


def damaged(seen: World, damage: list[tuple[int, tuple[str, Any]]]) -> World:
    objects = [copied(manifest) for manifest in seen.objects.values()]
    for number, (what, value) in damage:
        if objects:
            position = number % len(objects)
            if _damage(objects[position], what, value) is None:
                objects.pop(position)
    return World.of("fraud", objects)


def _damage(manifest: Manifest, what: str, value: Any) -> Manifest | None:
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    match what, manifest["kind"]:
        case "annotation", _:
            metadata["annotations"] = {**(metadata.get("annotations") or {}), value[0]: value[1]}
        case "drop", _ if value == "object":
            return None
        case "drop", _:
            (manifest if value == "status" else metadata).pop(value, None)
        case "replicas", "Deployment":
            spec["replicas"] = value
        case "rules", "HTTPRoute":
            spec["rules"] = value
        case "ports" | "selector", "Service":
            spec[what] = value
        case "pod", "Pod":
            manifest["status"] = value
        case "owner", _ if metadata.get("ownerReferences"):
            metadata["ownerReferences"][0]["uid"] = value
    return manifest


@many
@given(st.integers(0, 9), damages(), st.integers(-1, 40), st.sampled_from(["none", "down", "odd"]))
def test_plan_has_an_answer_whatever_the_world_looks_like(number: int, damage: Any, minutes: int, mode: str) -> None:
    town = towns()[number]
    seen = damaged(town.world(), damage)
    for made in everything(town, seen, minutes, mode)[:2]:
        assert ModelRolloutStatus.model_validate(made.status.to_wire()) == ModelRolloutStatus(**dict(made.status))


@many
@given(st.integers(0, 9), damages(), st.integers(-1, 40), st.sampled_from(["none", "down", "odd"]))
def test_plan_is_pure(number: int, damage: Any, minutes: int, mode: str) -> None:
    town = towns()[number]
    seen = damaged(town.world(), damage)
    objects = list(seen.objects.values())
    manifest, before = copied(town.manifest), copied(objects)
    first = everything(town, seen, minutes, mode)
    assert everything(town, seen, minutes, mode) == first
    assert town.manifest == manifest
    assert objects == before


PARTS = ["stable", "candidate", "stage", "resumes", "retired", "verdicts", "conditions", "history", "rejected"]


@settings(many, max_examples=2 * EXAMPLES or 100)
@given(
    st.integers(0, 9),
    st.integers(0, 9),
    st.sampled_from([None, *Phase]),
    st.sets(st.sampled_from(PARTS)),
    st.sets(st.sampled_from(PARTS)),
)
def test_plan_has_an_answer_to_any_status_that_was_edited_or_restored_in_parts(
    number: int, other: int, phase: Phase | None, lost: set[str], foreign: set[str]
) -> None:
    """And it leads somewhere: to a phase, with traffic to ready pods alone."""
    town = towns()[number].clone()
    status = {**town.manifest["status"], "phase": phase and phase.value}
    status |= {part: towns()[other].manifest["status"].get(part) for part in foreign}
    kept = {part: value for part, value in status.items() if part not in lost and value is not None}
    town.cluster.objects["modelrollouts", "ml", "fraud"]["status"] = copied(kept)
    everything(town, town.world(), 3, "none")
    town.run(minutes=1)
    assert town.phase is not None
    assert sum(sum(shares.values()) for shares in town.shares().values()) in (0, 100)


@pytest.mark.parametrize("number", range(10))
def test_pass_that_finds_nothing_changed_plans_no_write(number: int) -> None:
    town = towns()[number].clone()
    town.run(seconds=3)
    made = plan(town.rollout(), town.world(), town.now)
    assert (made.retreat, made.writes, made.events) == ((), (), ())
    assert made.status.to_wire() == town.manifest["status"]
