"""The promises of the design, each held against histories in a hostile world.

A Life has a Witness at every write, which raises Broken with the number of the promise. All of them are watched in all
histories; a property here is a choice of what happens, made to put its own promise to the test. More examples than CI
takes: MODELROLLOUT_EXAMPLES=500 pytest tests/properties
"""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Phases
from hypothesis import strategies as st

from modelrollout.api.status import Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import DEPLOYMENTS, SERVICES
from tests.fakes.fate import (
    AUTOSCALER,
    BAD_METRICS,
    HANDS,
    MEANWHILE,
    METRICS,
    OTHER_ROUTER,
    OUTAGES,
    PODS_SUFFER,
    RELEASES,
    TICK,
    WRONG_SPECS,
    Act,
    Life,
    histories,
)

EXAMPLES = int(os.environ.get("MODELROLLOUT_EXAMPLES", "0"))
hostile = settings(
    max_examples=EXAMPLES or 12,
    derandomize=not EXAMPLES,  # CI sees the same histories every time; who asks for more sees new ones
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    phases=list(Phases) if EXAMPLES else [Phases.generate],  # making a failing history short takes minutes
    suppress_health_check=list(HealthCheck),
)
ANYTHING = (RELEASES, WRONG_SPECS, PODS_SUFFER, METRICS, HANDS, OUTAGES, MEANWHILE, OTHER_ROUTER, AUTOSCALER)


@hostile
@given(histories(PODS_SUFFER, HANDS, RELEASES, AUTOSCALER, MEANWHILE))
def test_1_weights_sum_to_100_and_only_ready_workloads_are_given_traffic(history: list[Act]) -> None:
    """Weights are 0–100 and sum to 100; traffic goes only to backends whose workload is ready. Candidate pods that stop
    being ready lose their traffic in the next pass, before anything else is looked at."""
    Life().live(history)


@hostile
@given(histories(BAD_METRICS, PODS_SUFFER, OUTAGES, MEANWHILE, RELEASES, most=30))
def test_2_after_a_fail_the_weight_never_rises_again(history: list[Act]) -> None:
    """After a Fail the weight of that candidate never rises again, whatever restarts, conflicts or late answers
    follow."""
    life = Life().live(history)
    life.settle()
    for revision in life.witness.refused:
        assert all(shares.get(revision, 0) == 0 for shares in life.shares().values())


@hostile
@given(histories(PODS_SUFFER, OUTAGES, WRONG_SPECS, BAD_METRICS, OTHER_ROUTER))
def test_3_taking_traffic_back_is_the_first_write_and_waits_for_nothing(history: list[Act]) -> None:
    """Taking traffic back is the first write of a pass and waits for nothing: not for a gate, a hook, a query,
    readiness of other parts, or status bookkeeping of other kinds."""
    Life().live(history)


@hostile
@given(histories(METRICS, METRICS, RELEASES, OUTAGES), st.sampled_from(["silent", "down", "idle"]))
def test_4_no_data_no_traffic_or_no_prometheus_never_decides_anything(history: list[Act], mode: str) -> None:
    """No data, no traffic, or Prometheus being away never promotes and never rolls back by itself."""
    life = Life().live(history)
    life.heal()
    life.happen(("analysis", 0))
    life.happen(("wish", "9"))
    life.run(minutes=1)
    life.happen(("metrics", mode))
    phase, position = life.phase, life.status.stage
    life.run(minutes=10)
    if phase in (Phase.PROGRESSING, Phase.BAKING) and position is not None:
        stage = life.status.stage
        assert stage is not None
        assert (life.phase, stage.index, stage.step) == (phase, position.index, position.step)


@hostile
@given(histories(RELEASES, PODS_SUFFER, BAD_METRICS, OUTAGES))
def test_5_old_version_stays_warm_until_the_bake_is_over_and_going_back_is_one_write(history: list[Act]) -> None:
    """The old version stays, warm, until the bake is over; until then going back is one write."""
    life = Life().live(history)
    life.heal()
    life.run(seconds=20)
    status = life.status
    if status.candidate is None or status.stable is None or len(life.shares()) != 1:
        return
    stable = status.stable
    deployment = life.cluster.get(DEPLOYMENTS, stable.workload)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == life.replicas
    life.cluster.log.clear()
    life.happen(("wish", stable.model.version))
    life.pass_()
    routes = [write for write in life.cluster.log if write[2] == "fraud" and write[0] == "apply"]
    assert len(routes) <= 1
    assert life.share(stable.revision) == 100


@hostile
@given(histories(OUTAGES, OUTAGES, RELEASES, PODS_SUFFER, HANDS))
def test_6_restarts_shorten_no_step_move_no_traffic_back_and_end_in_the_same_place(history: list[Act]) -> None:
    """Killing the operator at any point and starting it again ends in the same place; traffic never moves backwards on
    account of a restart, and no step is shortened by one (time comes from stored timestamps)."""
    life = Life().live(history)
    life.settle()
    assert_at_rest(life)


@hostile
@given(histories(BAD_METRICS, PODS_SUFFER, RELEASES, OUTAGES, most=30))
def test_8_rejected_revision_is_not_tried_again(history: list[Act]) -> None:
    """A rejected revision is not tried again until someone asks (`retry`) or the revision changes."""
    life = Life().live(history)
    life.heal()
    for version in ("1", "2", "3", "4"):
        life.happen(("wish", version))
        life.run(minutes=3)
    life.settle()
    assert_at_rest(life)


@hostile
@given(histories(*ANYTHING))
def test_9_steady_state_writes_nothing(history: list[Act]) -> None:
    """Steady state writes nothing: no status churn, no event spam."""
    life = Life().live(history)
    life.settle()
    writes = life.cluster.writes
    life.run(minutes=10)
    life.restart()
    life.run(minutes=10)
    assert life.cluster.writes == writes


@hostile
@given(histories(*ANYTHING))
def test_11_only_objects_of_its_own_are_touched(history: list[Act]) -> None:
    """It touches only objects that it created or was pointed to, in the namespace of the rollout."""
    life = Life()
    for manifest in somebody_elses():
        life.witness.protect(manifest)
    life.live(history)
    life.settle()
    assert all(namespace in ("ml", "other") for _, namespace, _ in life.cluster.objects)
    for _, _, name in life.cluster.log:
        assert name == "fraud" or name.startswith(("fraud-", "fraud."))


@hostile
@given(st.lists(st.one_of(*ANYTHING, TICK), max_size=25))
def test_every_phase_change_is_in_the_table_and_every_status_fits_the_crd(history: list[Act]) -> None:
    """Time need not pass between what happens, and nothing need have been installed before."""
    life = Life().live(history)
    life.settle()
    assert life.witness.statuses


def assert_at_rest(life: Life) -> None:
    """Nothing is under way: the stable version has all traffic, and nothing else is left. Where somebody deleted the
    workload of a stable version that the spec no longer asks for, a release took over, or waits for a person."""
    status = life.status
    assert status.stable is not None
    if life.cluster.get(DEPLOYMENTS, status.stable.workload) is None:
        return
    assert status.phase in (Phase.HEALTHY, Phase.ROLLED_BACK), status.message
    assert all(shares == {status.stable.revision: 100} for shares in life.shares().values())
    there = {m["metadata"]["name"] for m in (*life.cluster.all(DEPLOYMENTS), *life.cluster.all(SERVICES))}
    assert there - {"fraud"} == {status.stable.workload}


def somebody_elses() -> list[Manifest]:
    """Objects that look as if they might be ours."""
    selector = {"modelrollout.dev/rollout": "fraud"}
    controller = {"apiVersion": "apps/v1", "kind": "Another", "name": "x", "uid": "uid-x", "controller": True}

    def of(kind: str, api: str, name: str, namespace: str = "ml", **metadata: Any) -> Manifest:
        return {
            "apiVersion": api,
            "kind": kind,
            "metadata": {"namespace": namespace, "name": name, **metadata},
            "spec": {"replicas": 0, "template": {"spec": {"containers": [{"image": "x:0"}]}}},
        }

    return [
        of("Deployment", "apps/v1", "fraud-detector", labels={"app": "fraud"}),
        of("Service", "v1", "fraud", "other", labels=selector),
        of("Service", "v1", "fraud-detector"),
        of("Service", "v1", "fraud-0123456789", labels=selector, ownerReferences=[controller]),
        of("ConfigMap", "v1", "fraud"),
        of("HTTPRoute", "gateway.networking.k8s.io/v1", "fraud-x", labels=selector),
    ]
