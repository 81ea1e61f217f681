"""Series of pods in another namespace, which are named like those of an arm, are not the arm's. Pure.

A revision's hash does not know the namespace, so one manifest in two namespaces gives pods of the same names, and a
selector by names alone selects both. A series says where its pod is beside the label with the pod's name: `pod` and
`namespace`, `exported_pod` and `exported_namespace`, `kubernetes_pod_name` and `kubernetes_namespace`. A series without
such a pair may be anybody's and is kept, and so is one whose namespace the selector itself names.

Which cluster an arm is in is not known here. So of a Prometheus that has several it can only be told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from modelrollout.promql.query import Pods, Query, Series, parsed
from modelrollout.promql.regexes import matches
from modelrollout.promql.selectors import SelectorError

CLUSTER_LABELS = ("cluster", "k8s_cluster", "k8s_cluster_name")
MOST_NAMED = 3
"""Namespaces or clusters that a note names."""
_ASKED = re.compile(r'\b(\w*namespace\w*)\s*=\s*["\'`]')


def without_other_namespaces(query: Query, series: Sequence[Series], who: str) -> tuple[tuple[Series, ...], str | None]:
    """The series that may be the arm's, and a note on the others. `who`: the arm, for people."""
    if query.pods is None:
        return tuple(series), None
    chosen = _labels_in_selector(query.promql)
    others = [_other_namespace(one.labels, query.pods, chosen) for one in series]
    kept = tuple(one for one, other in zip(series, others, strict=True) if other is None)
    elsewhere = sorted({other for other in others if other is not None})
    return kept, _note(len(series) - len(kept), elsewhere, who) if elsewhere else None


def on_several_clusters(query: Query, series: Sequence[Series], who: str) -> str | None:
    """A note where pods named like the arm's are in several clusters, and the selector names none."""
    chosen = _labels_in_selector(query.promql)
    for label in CLUSTER_LABELS:
        found = sorted({one.labels[label] for one in series if label in one.labels and _names_own(one.labels, query)})
        if len(found) > 1 and label not in chosen:
            named = ", ".join(found[:MOST_NAMED]) + (" …" if len(found) > MOST_NAMED else "")
            return f"pods named like those of {who} are counted in {len(found)} clusters ({named}): add {label}=…"
    return None


def _names_own(labels: Mapping[str, str], query: Query) -> bool:
    own = query.pods
    return own is not None and any("pod" in label and matches(own.names, value) for label, value in labels.items())


def _note(count: int, elsewhere: Sequence[str], who: str) -> str:
    named = ", ".join(elsewhere[:MOST_NAMED]) + (" …" if len(elsewhere) > MOST_NAMED else "")
    found = "1 series is" if count == 1 else f"{count} series are"
    mend = 'add namespace="{{ namespace }}" to its selectors'
    return f"{found} not counted, of pods named like those of {who} in namespace {named}: {mend}"


@lru_cache(maxsize=4096)
def _labels_in_selector(promql: str) -> frozenset[str]:
    try:
        return frozenset(matcher.label for matcher in parsed(promql).matchers)
    except SelectorError:
        return frozenset()


def _other_namespace(labels: Mapping[str, str], pods: Pods, chosen: Collection[str]) -> str | None:
    """The namespace that a pod named like the arm's says it is in, where that is not the arm's."""
    for label, value in labels.items():
        if "pod" not in label or not matches(pods.names, value):
            continue
        told = [name for name in _namespace_labels(label) if name in labels]
        if told and not any(name in chosen or labels[name] == pods.namespace for name in told):
            return labels[told[0]]
    return None


@lru_cache(maxsize=256)
def _namespace_labels(pod_label: str) -> tuple[str, ...]:
    """The labels in which the namespace may stand, beside that with the pod's name."""
    beside = [pod_label.replace(name, "namespace") for name in ("pod_name", "pod") if name in pod_label]
    return (*beside, "kubernetes_namespace") if pod_label in ("pod", "pod_name") else tuple(beside)


def namespace_label(promql: str) -> str | None:
    """The label by which a selector, or an expression, asks for one namespace."""
    found = _ASKED.search(promql)
    return found[1] if found else None
