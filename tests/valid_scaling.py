"""Strategies for every valid `autoscaling` and `podDisruptionBudget` of a workload."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

_objects = st.sampled_from([{}, {"type": "cpu", "metadata": {"value": "50"}}, {"a": [1, None, {"b": True}]}])
_lists = st.lists(_objects, min_size=1, max_size=3)
_pods, _seconds = st.integers(1, 50), st.integers(0, 600)


def _with(required: dict[str, st.SearchStrategy[Any]], **optional: st.SearchStrategy[Any]) -> Any:
    return st.fixed_dictionaries(required, optional=optional)


_of_kubernetes = _with({"maxReplicas": st.integers(50, 90)}, minReplicas=_pods, metrics=_lists, behavior=_objects)
_of_keda = _with(
    {"triggers": _lists},
    minReplicaCount=_seconds,
    maxReplicaCount=_pods,
    idleReplicaCount=_seconds,
    pollingInterval=_seconds,
    cooldownPeriod=_seconds,
    initialCooldownPeriod=_seconds,
    fallback=_objects,
    advanced=_objects,
)
_counts = st.integers(0, 50) | st.sampled_from(["0%", "25%", "100%"])
_policies = st.sampled_from(["IfHealthyBudget", "AlwaysAllow"])

autoscalings = _with({"horizontalPodAutoscaler": _of_kubernetes}) | _with({"scaledObject": _of_keda})
budgets = _with({"minAvailable": _counts}, unhealthyPodEvictionPolicy=_policies) | _with({"maxUnavailable": _counts})
