"""A spec is understood once: as long as neither it nor what it names changes, the wish is the very same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest, Ref
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import DEPLOYMENTS
from modelrollout.rollout.rollout import Wish, parse
from tests import builders

UNCHANGED: Mapping[str, Any] = {}
LENT = builders.deployment("ml", replicas=2)
OURS = Ref(DEPLOYMENTS, "ml", "fraud")
BY_REFERENCE = {"workload.template": builders.GONE, "workload.workloadRef": builders.workload_ref()}


def wish(objects: Objects, changes: Mapping[str, Any] = UNCHANGED, comparer_image: str | None = None) -> Wish:
    manifest: Manifest = {**builders.rollout(), "spec": builders.edited(changes)}
    found = parse(manifest, objects, comparer_image).wish
    assert found is not None
    return found


def test_equal_specs_are_one_wish_whatever_else_is_there() -> None:
    assert wish({}) is wish({OURS: LENT})


def test_what_it_names_belongs_to_the_spec() -> None:
    before, after = (
        wish({OURS: LENT}, BY_REFERENCE),
        wish({OURS: builders.deployment("ml", replicas=3)}, BY_REFERENCE),
    )
    assert (before.size, after.size) == (2, 3)
    scaled = {"workload.autoscaling": {"horizontalPodAutoscaler": {"maxReplicas": 5}}}
    assert wish({OURS: LENT}, {**BY_REFERENCE, **scaled}).size is None
    assert wish({OURS: LENT}, BY_REFERENCE) is before


@pytest.mark.parametrize("changes", [{"model.version": "2"}, {"traffic.port": 8081}])
def test_another_spec_is_another_wish(changes: dict[str, Any]) -> None:
    assert wish({}, changes).spec != wish({}).spec


def test_another_comparer_is_another_wish() -> None:
    assert wish({}, {}, "registry.example/modelrollout:2").comparer_image == "registry.example/modelrollout:2"
    assert wish({}).comparer_image is None
