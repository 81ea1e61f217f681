"""Carrying out single writes, and remembering which of them changed nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.kube import Conflict, Failed, KubeError, Refused, Unreachable
from modelrollout.kube.cluster import NO_VERSION
from modelrollout.objects.manifests import Apply, Delete, Manifest, Owner, Patch, Ref, Write
from modelrollout.objects.reads import Reads
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES, Resource
from modelrollout.shell.apply import Applier
from modelrollout.shell.reader import Direct
from tests.fakes.cluster import FakeCluster, merged

OWNER = Owner("ml", "fraud", "uid-fraud")


def route(weight: int = 5, name: str = "fraud") -> Apply:
    backends = [{"name": "fraud-1", "port": 80, "weight": weight}]
    return Apply(OWNER.object(HTTP_ROUTES, name, spec={"rules": [{"backendRefs": backends}]}), "modelrollout-traffic")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def applier(cluster: FakeCluster) -> Applier:
    return Applier(cluster, Direct(cluster))  # type: ignore[arg-type]  # the verbs the operator uses


async def test_apply_that_was_in_force_before_is_not_sent_again(applier: Applier, cluster: FakeCluster) -> None:
    assert [await applier.carry_out(route()) for _ in range(3)] == [True, False, False]
    assert cluster.requests["apply", "httproutes"] == 1


@pytest.mark.parametrize(
    "edit",
    [
        {"spec": {"rules": []}},
        {"metadata": {"annotations": {"modelrollout.dev/rejected": "x"}}},
        {"metadata": {"labels": {"modelrollout.dev/rollout": None}}},
    ],
)
async def test_apply_is_sent_again_once_somebody_edited_the_object(
    applier: Applier, cluster: FakeCluster, edit: Manifest
) -> None:
    await applier.carry_out(route())
    cluster.put(merged(cluster.get(HTTP_ROUTES, "fraud"), edit))
    assert await applier.carry_out(route()) is True
    assert await applier.carry_out(route()) is False


async def test_apply_is_not_sent_again_for_a_new_status(applier: Applier, cluster: FakeCluster) -> None:
    await applier.carry_out(route())
    cluster.put({**cluster.objects["httproutes", "ml", "fraud"], "status": {"parents": []}})
    assert await applier.carry_out(route()) is False


async def test_other_apply_and_object_made_anew_are_sent(applier: Applier, cluster: FakeCluster) -> None:
    await applier.carry_out(route(5))
    assert await applier.carry_out(route(25)) is True
    cluster.remove(HTTP_ROUTES, "fraud")
    assert await applier.carry_out(route(25)) is True
    assert cluster.get(HTTP_ROUTES, "fraud") is not None


async def test_apply_that_failed_is_not_taken_for_done(applier: Applier, cluster: FakeCluster) -> None:
    def fail(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, verb) == ("before", "apply"):
            raise Unreachable("time-out")

    cluster.hook = fail
    with pytest.raises(Unreachable):
        await applier.carry_out(route())
    cluster.hook = lambda *_: None
    assert await applier.carry_out(route()) is True


async def test_scale_sets_the_replicas_and_leaves_the_rest(applier: Applier, cluster: FakeCluster) -> None:
    cluster.put(OWNER.object(DEPLOYMENTS, "fraud-1", spec={"replicas": 1, "template": {"spec": {}}}))
    await applier.carry_out(Patch(Ref(DEPLOYMENTS, "ml", "fraud-1"), {"spec": {"replicas": 4}}))
    found = cluster.get(DEPLOYMENTS, "fraud-1")
    assert found is not None
    assert (found["spec"]["replicas"], found["spec"]["template"]) == (4, {"spec": {}})


@pytest.mark.parametrize("resource", [DEPLOYMENTS, SERVICES])
async def test_delete_takes_this_very_object_and_no_later_one_of_its_name(
    applier: Applier, cluster: FakeCluster, resource: Resource
) -> None:
    uid = cluster.put(OWNER.object(resource, "fraud-1", spec={}))["metadata"]["uid"]
    ref = Ref(resource, "ml", "fraud-1")
    await applier.carry_out(Delete(ref, "another"))
    assert cluster.get(resource, "fraud-1") is not None
    await applier.carry_out(Delete(ref, uid))
    await applier.carry_out(Delete(ref, uid))
    assert cluster.get(resource, "fraud-1") is None


async def test_what_was_applied_for_a_rollout_is_forgotten_with_it(applier: Applier, cluster: FakeCluster) -> None:
    for name in ("fraud", "fraud-1", "other"):
        await applier.carry_out(route(name=name))
    applier.forget("ml", "fraud")
    assert [await applier.carry_out(route(name=name)) for name in ("fraud", "fraud-1", "other")] == [True, True, False]


async def test_write_is_refused_unless_its_object_is_as_it_was_seen(applier: Applier, cluster: FakeCluster) -> None:
    seen = cluster.put(route(5).manifest)["metadata"]["resourceVersion"]
    changed = cluster.put(merged(cluster.get(HTTP_ROUTES, "fraud"), {"spec": {"hostnames": ["a"]}}))
    ref, uid = Ref(HTTP_ROUTES, "ml", "fraud"), changed["metadata"]["uid"]
    stale: list[Write] = [replace(route(25), seen=version) for version in (seen, "")]
    stale += [Patch(ref, {"spec": {"hostnames": ["b"]}}, seen), Delete(ref, uid, seen)]
    for write in stale:
        with pytest.raises(Conflict):
            await applier.carry_out(write)
    assert cluster.get(HTTP_ROUTES, "fraud") == changed
    version = changed["metadata"]["resourceVersion"]
    assert await applier.carry_out(replace(route(25), seen=version)) is True


async def test_object_that_was_not_there_is_made(applier: Applier, cluster: FakeCluster) -> None:
    await applier.carry_out(replace(route(5), seen=""))
    found = cluster.get(HTTP_ROUTES, "fraud")
    assert found is not None
    assert found["metadata"]["resourceVersion"] != NO_VERSION


# Several writes


@pytest.mark.parametrize(
    "failure", [Refused(422, "no", "x"), Failed(500, "broken", "x"), Conflict("changed"), Unreachable("time-out")]
)
async def test_write_that_fails_holds_up_those_that_need_its_object_and_no_others(
    applier: Applier, cluster: FakeCluster, failure: KubeError
) -> None:
    def fail(moment: str, verb: str, plural: str, name: str) -> None:
        if (moment, plural) == ("before", "services"):
            raise failure

    cluster.put(OWNER.object(DEPLOYMENTS, "fraud-1", spec={"replicas": 1, "template": {"spec": {}}}))
    cluster.put(OWNER.object(DEPLOYMENTS, "fraud-0", spec={"replicas": 1, "template": {"spec": {}}}))
    service = Apply(OWNER.object(SERVICES, "fraud-1", spec={}), "modelrollout-traffic")
    needing = replace(route(), needs=frozenset({service.ref}))
    size = Patch(Ref(DEPLOYMENTS, "ml", "fraud-1"), {"spec": {"replicas": 4}})
    old = Ref(DEPLOYMENTS, "ml", "fraud-0")
    deletion = Delete(old, cluster.get(DEPLOYMENTS, "fraud-0")["metadata"]["uid"], needs=frozenset({needing.ref}))
    cluster.hook = fail
    done = await applier.carry_out_all((service, needing, size, deletion), Reads(), {})
    assert [(verb, plural) for verb, plural, _ in cluster.log] == [("patch", "deployments")]
    refused = {service.ref: failure} if isinstance(failure, Refused | Failed) else {}
    waiting = {needing.ref, old} | ({service.ref} - refused.keys())
    assert (done.has_moved, done.refused, done.waiting) == (True, refused, waiting)
    assert (done.conflict is failure, done.away is failure) == (
        isinstance(failure, Conflict),
        isinstance(failure, Unreachable) and not isinstance(failure, Failed),
    )
