"""ModelRollouts as a cluster shows them, one for each thing that a GitOps tool may have to make something of.

`python -m tests.gitops` writes them to the folder of Argo CD's health check; a test compares. Each comes from a whole
rollout that today's operator was driven through, so none can say what it would not write.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from modelrollout.api.status import Phase
from modelrollout.kube import Refused
from modelrollout.objects.manifests import Manifest
from modelrollout.rollout.author import ACTION
from tests import builders
from tests.fakes.cluster import merged
from tests.fakes.town import Town
from tests.places import ROOT

TESTDATA = ROOT / "integrations/argo-cd/resource_customizations/modelrollout.dev/ModelRollout/testdata"
QUICK = {"stages": [builders.canary(25, 100, hold="10s")], "promotion": {"bake": "30s", "keepOld": "30s"}}
"""A release that is over soon."""


def serving(**changes: Any) -> Town:
    """Version 1 serves everybody."""
    town = Town()
    town.old = town.wish("1", **{**QUICK, **changes})
    town.go(Phase.HEALTHY, minutes=2)
    town.run(seconds=10)
    return town


def releasing(**changes: Any) -> Town:
    """Version 2 has just been applied."""
    town = serving(**changes)
    town.new = town.wish("2", **{**QUICK, **changes})
    return town


def unseen() -> Town:
    """As the API server shows it before any operator has looked: with the default that the definition has."""
    town = Town()
    town.cluster.put({**builders.rollout("1", **QUICK), "status": {"observedGeneration": 0}})
    return town


def edited() -> Town:
    return releasing()


def first_version_starts() -> Town:
    town = Town()
    town.cluster.broken = {"1"}
    town.wish("1", **QUICK)
    town.run(seconds=20)
    return town


def first_version_crashes() -> Town:
    town = first_version_starts()
    (name,) = {name for plural, _, name in town.cluster.objects if plural == "deployments"}
    town.cluster.crash(name, restarts=5)
    town.run(seconds=10)
    return town


def healthy() -> Town:
    return serving()


def candidate_starts() -> Town:
    town = releasing()
    town.cluster.broken = {"2"}
    town.run(seconds=20)
    return town


def progressing() -> Town:
    town = releasing(stages=[builders.canary(25, 100, hold="10m")])
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=10)
    return town


def asked_for(town: Town, action: str) -> Town:
    town.cluster.put(merged(town.manifest, {"metadata": {"annotations": {ACTION: action}}}))
    town.run(seconds=10)
    return town


def paused() -> Town:
    return asked_for(progressing(), "pause/1")


def awaiting_approval() -> Town:
    steps = [{"weight": 25, "approval": True}, {"weight": 100}]
    stages = [{"name": "canary", "canary": {"steps": steps, "hold": "10s"}}]
    town = releasing(stages=stages, analysis={"readinessOnly": True})
    town.run(until=lambda town: town.condition("WaitingForPerson") == "True", minutes=20)
    return town


def promoting() -> Town:
    town = releasing()
    town.go(Phase.PROMOTING)
    return town


def baking() -> Town:
    town = releasing()
    town.go(Phase.BAKING)
    town.run(seconds=10)
    return town


def promoted() -> Town:
    town = baking()
    town.go(Phase.HEALTHY)
    town.run(seconds=10)
    return town


def rolling_back() -> Town:
    town = progressing()
    town.cluster.crash(f"fraud-{town.new}", restarts=5)
    town.go(Phase.ROLLING_BACK)
    return town


def rolled_back() -> Town:
    town = rolling_back()
    town.go(Phase.ROLLED_BACK)
    town.run(seconds=10)
    return town


def back_in_git() -> Town:
    """Somebody reverted the commit that asked for the bad version."""
    town = rolled_back()
    town.wish("1", **QUICK)
    town.run(seconds=20)
    return town


def invalid() -> Town:
    town = serving()
    town.wish("2", **{**QUICK, "stages": []})
    town.run(seconds=10)
    return town


def named_object_is_missing() -> Town:
    """In one sync, a ModelRollout may be applied before the Deployment that it names."""
    town = Town()
    town.wish("1", workload={"workloadRef": {"kind": "Deployment", "name": "fraud-server"}})
    town.run(seconds=10)
    return town


def goal_not_shown() -> Town:
    town = releasing(stages=[builders.ab_test(minDuration="1m", maxDuration="2m")])
    town.metrics.buckets = 20
    town.metrics.bad = {"1": 0.05, "2": 0.05}
    town.run(minutes=6)
    return town


def evidence_not_found() -> Town:
    """Nobody asks the candidate, and stepDeadline is over."""
    analysis = {**builders.spec()["analysis"], "stepDeadline": "1m", "onInconclusive": "hold"}
    town = releasing(stages=[builders.canary(25, 100, hold="30s")], analysis=analysis)
    town.go(Phase.PROGRESSING, 25)
    town.metrics.is_silent = True
    town.run(minutes=3)
    return town


def scaled_to_zero() -> Town:
    town = serving()
    template = town.manifest["spec"]["workload"]["template"]
    workload = {"template": {**template, "spec": {**template["spec"], "replicas": 0}}}
    town.wish("1", **{**QUICK, "workload": workload})
    town.run(seconds=20)
    return town


def stable_lost_its_pods() -> Town:
    town = serving()
    town.cluster.limping = {"1": 3}
    town.run(seconds=10)
    return town


def write_refused() -> Town:
    town = serving()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "rehearse", "deployments"):
            raise Refused(422, "spec.template.spec.containers[0].image: Required value", f"deployments/{name}")

    town.cluster.hook = refuse
    town.wish("2", **QUICK)
    town.run(seconds=20)
    return town


def metric_asks_wrongly() -> Town:
    town = releasing(stages=[builders.canary(25, 100, hold="10m")])
    town.metrics.why_rejected = "1:20: parse error: unexpected identifier"
    town.run(minutes=2)
    return town


def prometheus_is_away() -> Town:
    town = progressing()
    town.metrics.is_down = True
    town.run(minutes=1)
    return town


def no_place_for_pods() -> Town:
    town = releasing(progressDeadline="1m")
    town.cluster.homeless = {"2": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."}
    town.run(minutes=2)
    return town


def cannot_be_read() -> Town:
    """The operator lacks a permission."""
    town = serving()

    def refuse(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb, plural) == ("before", "list", "pods"):
            raise Refused(403, "pods is forbidden", "pods")

    town.cluster.hook = refuse
    town.restart()
    town.run(seconds=10)
    return town


def deleted() -> Town:
    town = progressing()
    town.delete()
    return town


SCENES: tuple[Callable[[], Town], ...] = (
    unseen,
    edited,
    first_version_starts,
    first_version_crashes,
    healthy,
    candidate_starts,
    progressing,
    paused,
    awaiting_approval,
    promoting,
    baking,
    promoted,
    rolling_back,
    rolled_back,
    back_in_git,
    invalid,
    named_object_is_missing,
    goal_not_shown,
    evidence_not_found,
    scaled_to_zero,
    stable_lost_its_pods,
    write_refused,
    metric_asks_wrongly,
    prometheus_is_away,
    no_place_for_pods,
    cannot_be_read,
    deleted,
)
NAMES = tuple(scene.__name__.replace("_", "-") for scene in SCENES)
FILES = tuple(name for name in NAMES if name not in ("goal-not-shown", "evidence-not-found", "deleted"))
"""Those that are kept in files. Left out are the words of a verdict, which change with every better test of ours, and
what Argo CD asks no script about."""
_LEFT_OUT = ("uid", "resourceVersion", "analysis", "evidence", "verdicts", "history")
"""Fields that no tool looks at, and that are others whenever something else in this repository changes."""


@functools.cache
def town(name: str) -> Town:
    """A scene, with all that surrounds the ModelRollout."""
    return SCENES[NAMES.index(name)]()


@functools.cache
def scene(name: str) -> Manifest:
    """The ModelRollout of a scene."""
    return town(name).manifest


def shown(name: str) -> Manifest:
    """The same as it is kept in a file."""
    manifest = scene(name)
    parts = {name: _lean(manifest[name]) for name in ("metadata", "spec", "status")}
    if "conditions" in parts["status"]:
        parts["status"]["conditions"] = [one for one in parts["status"]["conditions"] if one["type"] != "Sensitive"]
    return {**manifest, **parts}


def _lean(part: Manifest) -> Manifest:
    return {key: value for key, value in part.items() if key not in _LEFT_OUT and value != []}
