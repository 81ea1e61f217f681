"""The revision of a spec: by its meaning, and known by the name that older operators gave it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from modelrollout.api.status import Arm, ModelRolloutStatus, Rejection, Retired, VersionInfo
from modelrollout.objects.manifests import Manifest, ref_of
from modelrollout.rollout.rollout import Wish, parse, read_wish
from modelrollout.traffic import revision_service
from modelrollout.traffic.router import Backend
from tests import builders
from tests.fakes.cluster import merged
from tests.fakes.town import NOON, OWNER

MODEL = VersionInfo(name="fraud-detector", version="1")


def wish_of(spec: Manifest) -> Wish:
    wish = read_wish(spec)
    assert isinstance(wish, Wish), wish
    return wish


def with_pod(container: Manifest | None = None, pod: Manifest | None = None, **template: Any) -> Manifest:
    """The builders' spec with fields added to its container, pod and pod template."""
    spec = copy.deepcopy(builders.spec())
    inner = spec["workload"]["template"]["spec"]["template"]
    inner["spec"] = {**inner["spec"], **(pod or {})}
    inner["spec"]["containers"][0] |= container or {}
    inner |= template
    return spec


def revision(container: Manifest | None = None, pod: Manifest | None = None, **template: Any) -> str:
    return wish_of(with_pod(container, pod, **template)).revision


def volumes(source: Manifest) -> Manifest:
    return {"volumes": [{"name": "v", **source}]}


def limits(**amounts: Any) -> Manifest:
    return {"resources": {"limits": amounts}}


ANTI = "podAntiAffinity"


@pytest.mark.parametrize(
    ("why", "one", "other"),
    [
        ("thousandths", revision(limits(cpu="1000m")), revision(limits(cpu="1"))),
        ("a number", revision(limits(cpu=1)), revision(limits(cpu="1"))),
        ("a fraction", revision(limits(cpu=0.5)), revision(limits(cpu="500m"))),
        ("binary suffixes", revision(limits(memory="1024Mi")), revision(limits(memory="1Gi"))),
        (
            "requests",
            revision({"resources": {"requests": {"cpu": "2000m"}}}),
            revision({"resources": {"requests": {"cpu": "2"}}}),
        ),
        (
            "the size of an emptyDir",
            revision(pod=volumes({"emptyDir": {"sizeLimit": "1024Ki"}})),
            revision(pod=volumes({"emptyDir": {"sizeLimit": "1Mi"}})),
        ),
        ("null", revision({"env": None}), revision()),
        ("an empty list", revision({"env": [], "args": []}), revision()),
        ("an empty map", revision(pod={"nodeSelector": {}}), revision()),
        ("empty resources", revision({"resources": {"limits": {}, "requests": None}}), revision()),
        ("empty metadata", revision(metadata={"labels": {}, "creationTimestamp": None}), revision()),
        ("an empty value", revision({"env": [{"name": "A", "value": ""}]}), revision({"env": [{"name": "A"}]})),
        ("a pod's defaults", revision(pod={"restartPolicy": "Always", "securityContext": {}}), revision()),
        ("a container's defaults", revision({"terminationMessagePolicy": "File"}), revision()),
        (
            "the pull policy of a tag",
            revision({"image": "a/b:1", "imagePullPolicy": "IfNotPresent"}),
            revision({"image": "a/b:1"}),
        ),
        (
            "the pull policy of no tag",
            revision({"image": "h:5000/b", "imagePullPolicy": "Always"}),
            revision({"image": "h:5000/b"}),
        ),
        (
            "a port's protocol",
            revision({"ports": [{"containerPort": 1, "protocol": "TCP"}]}),
            revision({"ports": [{"containerPort": 1}]}),
        ),
        (
            "a probe's defaults",
            revision({"readinessProbe": {"httpGet": {"port": 1, "path": "/", "scheme": "HTTP"}, "periodSeconds": 10}}),
            revision({"readinessProbe": {"httpGet": {"port": 1}}}),
        ),
        (
            "the mode of files",
            revision(pod=volumes({"configMap": {"name": "c", "defaultMode": 420}})),
            revision(pod=volumes({"configMap": {"name": "c"}})),
        ),
    ],
)
def test_one_revision_whatever_the_spelling_of(why: str, one: str, other: str) -> None:
    assert one == other


@pytest.mark.parametrize(
    ("why", "one", "other"),
    [
        ("quantities", revision(limits(cpu="1000m")), revision(limits(cpu="1001m"))),
        ("decimal and binary", revision(limits(memory="1G")), revision(limits(memory="1Gi"))),
        (
            "texts that look like quantities",
            revision({"env": [{"name": "A", "value": "1000m"}]}),
            revision({"env": [{"name": "A", "value": "1"}]}),
        ),
        (
            "texts of labels that look like quantities",
            revision(metadata={"labels": {"limits": "1000m"}}),
            revision(metadata={"labels": {"limits": "1"}}),
        ),
        (
            "a label that is empty",
            revision(metadata={"labels": {"value": ""}}),
            revision(metadata={"labels": {}}),
        ),
        ("an empty volume", revision(pod=volumes({"emptyDir": {}})), revision(pod=volumes({}))),
        (
            "a selector of all namespaces",
            revision(pod={"affinity": {ANTI: {"namespaceSelector": {}}}}),
            revision(pod={"affinity": {ANTI: {}}}),
        ),
        ("the order of arguments", revision({"args": ["a", "b"]}), revision({"args": ["b", "a"]})),
        ("an empty argument", revision({"args": ["a", ""]}), revision({"args": ["a"]})),
        ("another value than the default", revision({"imagePullPolicy": "Never"}), revision()),
        ("a pod's own resources, which are kept even when empty", revision(pod={"resources": {}}), revision()),
    ],
)
def test_another_revision_for_other(why: str, one: str, other: str) -> None:
    assert one != other


def test_port_is_a_part_of_the_revision_and_what_is_beside_the_pods_is_none() -> None:
    first = wish_of(builders.spec()).revision
    spec = builders.spec()
    assert wish_of(merged(spec, {"traffic": {"port": 9090}})).revision != first
    assert wish_of(merged(spec, {"workload": {"template": {"spec": {"replicas": 9}}}})).revision == first
    assert wish_of(merged(spec, {"promotion": {"bake": "9m"}})).revision == first


def test_claims_of_a_stateful_set_are_compared_by_meaning() -> None:
    def of(claims: list[Manifest] | None) -> str:
        spec = builders.spec()
        template = spec["workload"]["template"] | {"kind": "StatefulSet"}
        template["spec"] = {**template["spec"], "volumeClaimTemplates": claims}
        return wish_of({**spec, "workload": {"template": template}}).revision

    def claim(amount: str) -> list[Manifest]:
        return [{"metadata": {"name": "m"}, "spec": {"resources": {"requests": {"storage": amount}}}}]

    assert of(claim("1024Mi")) == of(claim("1Gi")) != of(claim("2Gi"))
    assert of([]) == of(None)


# Names that older operators gave


def known_as(status: ModelRolloutStatus, *there: Manifest, port: int = 8080) -> str:
    spec = merged(builders.spec(), {"traffic": {"port": port}})
    manifest = {**builders.rollout(), "spec": spec, "status": status.to_wire()}
    wish = parse(manifest, {ref_of(one): one for one in there}).wish
    assert wish is not None
    return wish.revision


OLD = wish_of(builders.spec()).by_words
ARM = Arm(revision=OLD, model=MODEL, workload=f"fraud-{OLD}")
SERVICE = revision_service.render(OWNER, Backend(ARM.workload, OLD, 8080))
NOBODY = ModelRolloutStatus()
REJECTED = Rejection(revision=OLD, model=MODEL, reason="x", message="y", at=NOON)


@pytest.mark.parametrize(
    "status",
    [
        ModelRolloutStatus(stable=ARM),
        ModelRolloutStatus.model_validate({"candidate": {**ARM.to_wire(), "since": NOON}}),
        ModelRolloutStatus(rejected=(REJECTED,)),
        ModelRolloutStatus(retired=(Retired(revision=OLD, workload=ARM.workload, delete_after=NOON),)),
    ],
    ids=["stable", "candidate", "rejected", "retired"],
)
def test_revision_that_an_older_operator_named_keeps_that_name(status: ModelRolloutStatus) -> None:
    assert known_as(status) == known_as(status, SERVICE) == OLD


def test_objects_know_a_name_that_the_status_has_lost() -> None:
    assert known_as(NOBODY, SERVICE) == OLD
    assert known_as(NOBODY) == wish_of(builders.spec()).revision


def test_old_name_is_not_that_of_the_same_pods_on_another_port() -> None:
    assert known_as(ModelRolloutStatus(stable=ARM), SERVICE, port=9090) != OLD


def test_port_that_somebody_edited_away_does_not_make_a_release() -> None:
    edited = merged(SERVICE, {"spec": {"ports": [{"port": 80, "targetPort": 1}]}})
    assert known_as(ModelRolloutStatus(stable=ARM), edited) == OLD
    assert known_as(ModelRolloutStatus(stable=ARM), merged(SERVICE, {"spec": {"ports": []}})) == OLD
