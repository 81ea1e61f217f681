"""The chart's permissions are those that the operator's parts ask for, and no more."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from charts.rules import VERBS
from modelrollout.objects.access import Integration, Where
from modelrollout.objects.manifests import Manifest
from modelrollout.shell.permissions import ALL, left_alone
from tests.chart.helm import Values, container, needs_helm, of_kind, only, rendered

Right = tuple[str, str, str]
SMALL: Values = {"crds": {"enabled": False}}


def rights(roles: Iterable[Manifest]) -> set[Right]:
    """Each as group, resource and verb."""
    return {
        (group, resource, verb)
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked_for(where: Where, without: Iterable[str] = ()) -> set[Right]:
    return {
        (one.resource.group, "/".join(filter(None, (one.resource.plural, one.subresource))), verb)
        for one in ALL
        if one.integration not in without and one.scope is where
        for verb in one.verbs
    }


def operators(objects: list[Manifest], kind: str) -> list[Manifest]:
    return [one for one in of_kind(objects, kind) if one["metadata"]["name"] == "modelrollout"]


def leases(objects: list[Manifest]) -> list[Manifest]:
    return [one for one in of_kind(objects, "Role") if one["metadata"]["name"] == "modelrollout-lease"]


def certificates(objects: list[Manifest]) -> list[Manifest]:
    return [one for one in of_kind(objects, "ClusterRole") if one["metadata"]["name"] == "modelrollout-webhook"]


@needs_helm
@pytest.mark.parametrize("off", [(), *((name,) for name in Integration), tuple(Integration)], ids=str)
def test_the_operator_has_the_rights_that_its_parts_ask_for(off: tuple[Integration, ...]) -> None:
    objects = rendered({**SMALL, "integrations": {name: name not in off for name in Integration}})
    everywhere = asked_for(Where.ANYWHERE, off) | asked_for(Where.SERVED, off)
    assert rights(operators(objects, "ClusterRole")) == everywhere
    assert rights(leases(objects)) == asked_for(Where.OWN)
    told = [one for one in container(objects)["args"] if one.startswith("--without=")]
    assert told == ([f"--without={','.join(off)}"] if off else [])


@needs_helm
def test_with_namespaces_it_has_no_right_elsewhere_but_to_read_what_belongs_to_the_cluster() -> None:
    objects = rendered({**SMALL, "watchNamespaces": ["ml", "fraud"]})
    roles = operators(objects, "Role")
    assert [one["metadata"]["namespace"] for one in roles] == ["ml", "fraud"]
    off = [Integration.ISTIO, Integration.KEDA, Integration.SECRETS]  # until somebody switches them on
    assert all(rights([one]) == asked_for(Where.SERVED, off) for one in roles)
    beyond = rights(operators(objects, "ClusterRole"))
    assert beyond == asked_for(Where.ANYWHERE, off)
    assert {resource for _, resource, _ in beyond} == {"gateways", "gatewayclasses", "clustermetrictemplates"}
    assert {verb for _, _, verb in beyond} == {"get", "list", "watch"}
    bindings = operators(objects, "RoleBinding")
    assert [one["metadata"]["namespace"] for one in bindings] == ["ml", "fraud"]
    subject = {"kind": "ServiceAccount", "name": "modelrollout", "namespace": "modelrollout"}
    assert all(one["subjects"] == [subject] for one in [*bindings, only(objects, "ClusterRoleBinding")])


@needs_helm
def test_releases_for_different_namespaces_may_keep_their_leases_together() -> None:
    objects = rendered({**SMALL, "leaderElection": {"namespace": "releases"}})
    (role,) = leases(objects)
    binding = next(one for one in of_kind(objects, "RoleBinding") if one["metadata"]["name"] == "modelrollout-lease")
    assert role["metadata"]["namespace"] == binding["metadata"]["namespace"] == "releases"
    assert binding["subjects"][0]["namespace"] == "modelrollout"


@needs_helm
def test_only_an_operator_that_makes_its_own_certificate_may_change_its_own_webhook() -> None:
    own, brought = {"enabled": True}, {"enabled": True, "certManager": {"enabled": True}}
    (role,) = certificates(rendered({**SMALL, "webhook": own}))
    (rule,) = role["rules"]
    assert (rule["resourceNames"], rule["verbs"]) == (["modelrollout"], ["get", "patch"])
    assert certificates(rendered({**SMALL, "webhook": brought})) == []
    told = container(rendered({**SMALL, "webhook": own}))
    assert "--webhook-configuration=modelrollout" in told["args"]
    assert "volumeMounts" not in told


@needs_helm
def test_no_rule_is_about_secrets_or_about_everything() -> None:
    on: dict[str, bool] = {**dict.fromkeys(Integration, True), Integration.SECRETS: False}
    everything = rights(of_kind(rendered({**SMALL, "integrations": on}), "ClusterRole"))
    assert not [right for right in everything if "*" in right or right[1] in ("secrets", "configmaps", "namespaces")]
    assert {verb for _, _, verb in everything} <= {*VERBS, "deletecollection"}


@needs_helm
def test_secrets_may_be_got_by_their_names_alone() -> None:
    asked = {**SMALL, "integrations": {"secrets": True}}
    (all_of_them,) = secrets(rendered(asked))
    assert all_of_them == {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
    (some,) = secrets(rendered({**asked, "rbac": {"secretNames": ["fraud-alerts"]}}))
    assert some == {**all_of_them, "resourceNames": ["fraud-alerts"]}


def secrets(objects: list[Manifest]) -> list[Manifest]:
    """The operator's rules about Secrets."""
    rules = [rule for role in operators(objects, "ClusterRole") for rule in role["rules"]]
    return [rule for rule in rules if "secrets" in rule["resources"]]


@needs_helm
def test_people_see_and_change_rollouts_by_the_roles_that_they_have() -> None:
    roles = {one["metadata"]["name"]: one for one in of_kind(rendered(SMALL), "ClusterRole")}
    view, edit = roles["modelrollout-view"], roles["modelrollout-edit"]
    to = "rbac.authorization.k8s.io/aggregate-to-"
    assert {name for name in view["metadata"]["labels"] if name.startswith(to)} == {
        f"{to}view",
        f"{to}edit",
        f"{to}admin",
    }
    assert {name for name in edit["metadata"]["labels"] if name.startswith(to)} == {f"{to}edit", f"{to}admin"}
    assert {verb for _, _, verb in rights([view])} == {"get", "list", "watch"}
    assert {resource for _, resource, _ in rights([edit])} == {"modelrollouts", "metrictemplates"}


def test_an_integration_that_is_off_leaves_its_kinds_alone_and_no_others() -> None:
    assert {kind.plural for kind in left_alone([Integration.ISTIO])} == {"virtualservices"}
    assert {kind.plural for kind in left_alone([Integration.KEDA])} == {"scaledobjects"}
    assert {kind.plural for kind in left_alone([Integration.STATEFUL_SETS])} == {"statefulsets"}
    gateway_api = {"httproutes", "grpcroutes", "gateways", "gatewayclasses"}
    assert {kind.plural for kind in left_alone([Integration.GATEWAY_API])} == gateway_api
    assert left_alone([]) == {}
