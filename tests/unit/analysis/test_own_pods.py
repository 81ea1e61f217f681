"""Series of pods that are named like an arm's, in another namespace."""

from __future__ import annotations

from dataclasses import replace

import pytest

from modelrollout.analysis.samples.own_pods import namespace_label, on_several_clusters, without_other_namespaces
from modelrollout.promql.query import Pods, Query, Series
from tests.unit.analysis.looking import NOON

POD = "fraud-b41c-x"
QUERY = Query(
    "m", "candidate", "counters", 'x{pod=~"fraud-.+"}', NOON, NOON, None, pods=Pods("ml", "fraud-b41c-[a-z0-9]+")
)


def series(**labels: str) -> Series:
    return Series(labels, ((1.0, 1.0),))


def kept(*found: Series, query: Query = QUERY) -> tuple[Series, ...]:
    return without_other_namespaces(query, found, "the candidate")[0]


@pytest.mark.parametrize(
    "labels",
    [
        {"pod": POD, "namespace": "staging"},
        {"pod": POD, "kubernetes_namespace": "staging"},
        {"pod_name": POD, "namespace": "staging"},
        {"kubernetes_pod_name": POD, "kubernetes_namespace": "staging"},
        {"k8s_pod_name": POD, "k8s_namespace_name": "staging"},
        {"exported_pod": POD, "exported_namespace": "staging", "pod": "exporter-x", "namespace": "ml"},
    ],
)
def test_a_pod_of_the_same_name_that_says_another_namespace_is_not_ours(labels: dict[str, str]) -> None:
    ours = series(**{name: "ml" if value == "staging" else value for name, value in labels.items()})
    assert without_other_namespaces(QUERY, [ours, series(**labels)], "the candidate") == (
        (ours,),
        "1 series is not counted, of pods named like those of the candidate in namespace staging: "
        'add namespace="{{ namespace }}" to its selectors',
    )


@pytest.mark.parametrize(
    "labels",
    [
        {"pod": POD},
        {"namespace": "staging"},
        {"pod": "envoy-x", "namespace": "gateways", "envoy_cluster_name": "ml/fraud-b41c"},
        {"exported_pod": POD, "namespace": "monitoring", "pod": "exporter-x"},
        {"pod": POD, "namespace": "ml", "exported_namespace": "what the application calls so"},
    ],
)
def test_a_series_that_does_not_say_where_a_pod_of_that_name_is_may_be_ours(labels: dict[str, str]) -> None:
    assert kept(series(**labels)) == (series(**labels),)


def test_who_names_the_namespace_in_the_selector_has_chosen() -> None:
    chosen = replace(QUERY, promql='x{namespace=~"ml|staging"}')
    both = series(pod=POD, namespace="ml"), series(pod=POD, namespace="staging")
    assert kept(*both, query=chosen) == both
    assert kept(*both, query=replace(QUERY, pods=None)) == both


def test_many_namespaces_are_not_all_named() -> None:
    found = [series(pod=POD, namespace=f"n{n}") for n in range(5)]
    _, note = without_other_namespaces(QUERY, found, "stable")
    assert note is not None
    assert note.startswith("5 series are not counted, of pods named like those of stable in namespace n0, n1, n2 …:")


def test_pods_of_the_same_names_in_several_clusters_are_told() -> None:
    both = series(pod=POD, cluster="us"), series(pod=POD, cluster="eu")
    note = "pods named like those of the candidate are counted in 2 clusters (eu, us): add cluster=…"
    assert on_several_clusters(QUERY, both, "the candidate") == note
    assert on_several_clusters(QUERY, both[:1], "the candidate") is None
    assert on_several_clusters(QUERY, [series(cluster=name) for name in ("eu", "us")], "the candidate") is None
    chosen = replace(QUERY, promql='x{cluster=~"eu|us"}')
    assert on_several_clusters(chosen, both, "the candidate") is None


@pytest.mark.parametrize(
    ("promql", "label"),
    [
        ('x{pod="a"}', None),
        ('x{namespace="ml",pod="a"}', "namespace"),
        ("sum(rate(x{ kubernetes_namespace = 'ml' }[1m]))", "kubernetes_namespace"),
        ('x{namespace=~"ml|"}', None),
    ],
)
def test_the_label_is_known_by_which_a_query_asks_for_one_namespace(promql: str, label: str | None) -> None:
    assert namespace_label(promql) == label
