"""Quotes of the rarer kinds of metrics: groups of people, means per user, and pairs of answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.pictures.lab import CANDIDATE, STABLE, Release, analysis, even, labelled, prometheus
from modelrollout.analysis.queries import ArmNames
from modelrollout.api.status import MetricVerdict
from modelrollout.promql.query import Series

APPROVED: Mapping[str, Any] = {
    "name": "approved",
    "ratio": {
        "good": 'loans_approved_total{pod=~"{{ pods }}"}',
        "total": 'loans_decided_total{pod=~"{{ pods }}"}',
        "groups": {"label": "age", "values": ["over-25", "under-25"], "maxExtraGap": "3%"},
    },
    "tolerance": {"absolute": "2%"},
    "exclude": {"absolute": "6%"},
}
REVENUE: Mapping[str, Any] = {
    "name": "revenue",
    "mean": {
        "sum": 'basket_euros_total{pod=~"{{ pods }}"}',
        "squares": 'basket_euros_squared_total{pod=~"{{ pods }}"}',
        "count": 'baskets_total{pod=~"{{ pods }}"}',
    },
    "betterWhen": "higher",
    "tolerance": {"relative": "2%"},
    "exclude": {"relative": "8%"},
}
PAIRS: Mapping[str, Any] = {
    "name": "answers",
    "pairs": {"candidateWrong": "shadow_wrong_total", "stableWrong": "shadow_stable_wrong_total"},
    "tolerance": {"relative": "25%"},
}


def groups(share: float) -> MetricVerdict:
    """Of ten requests one is from somebody under 25, of whom the candidate approves this share; stable 60 %."""
    arms = ((CANDIDATE, 25.0, share), (STABLE, 75.0, 0.6))
    mine, theirs = (
        [*_decided(names, 0.9 * rps, 0.62, "over-25"), *_decided(names, 0.1 * rps, young, "under-25")]
        for names, rps, young in arms
    )
    return Release(analysis(APPROVED), prometheus(mine, theirs)).look(900)[0]


def _decided(names: ArmNames, rps: float, share: float, age: str) -> list[Series]:
    return [
        labelled(names, even(rps * part, 900), __name__=f"loans_{name}_total", age=age)
        for name, part in (("approved", share), ("decided", 1.0))
    ]


def mean(euros: float) -> MetricVerdict:
    """Baskets worth so much, where stable's are worth 40 € and differ by 25 € (a standard deviation)."""
    mine, theirs = (_baskets(names, rps, usual) for names, rps, usual in ((CANDIDATE, 2.5, euros), (STABLE, 2.5, 40.0)))
    return Release(analysis(REVENUE), prometheus(mine, theirs)).look(3600)[0]


def _baskets(names: ArmNames, rps: float, euros: float) -> list[Series]:
    each = {"basket_euros": euros, "basket_euros_squared": euros**2 + 25.0**2, "baskets": 1.0}
    return [labelled(names, even(rps * part, 3600), __name__=f"{name}_total") for name, part in each.items()]


def pairs(candidate: float, stable: float) -> MetricVerdict:
    """So many answers in a minute that only one of the two got wrong."""
    wrong = {"shadow_wrong_total": candidate, "shadow_stable_wrong_total": stable}
    both = [labelled(STABLE, even(rate / 60, 1800), __name__=name) for name, rate in wrong.items()]
    return Release(analysis(PAIRS), prometheus(both, both)).look(1800)[0]
