"""Queries against the operator's metrics: each metric exists, has the labels that are used, and values that occur."""

from __future__ import annotations

from typing import Any

import promql_parser

from charts.panels import chosen
from modelrollout.api.status import Phase, Verdict
from modelrollout.shell import metrics

KNOWN: dict[str, frozenset[str]] = {}
for _one in metrics.ALL:
    KNOWN |= _one.series
OF_TARGETS = {"job"}
VALUES = {
    "phase": {*Phase},
    "verdict": {*Verdict},
    "arm": {"candidate", "stable"},
    "status": {"True", "False", "Unknown"},
}


def labels_of(expr: str) -> set[str]:
    """The labels of its result. Fails where a metric, a label or a value of one does not exist."""
    return _labels(promql_parser.parse(chosen(expr)))


def _labels(tree: Any) -> set[str]:
    match type(tree).__name__:
        case "VectorSelector":
            return _selected(tree)
        case "MatrixSelector":
            return _selected(tree.vector_selector)
        case "AggregateExpr":
            by, there = set(tree.modifier.labels if tree.modifier else ()), _labels(tree.expr)
            assert by <= there, f"{by - there} are no labels of {tree.expr}"
            return by
        case "Call":
            there = set[str]().union(*(_labels(one) for one in tree.args))
            return there - {"le"} if tree.func.name == "histogram_quantile" else there
        case "BinaryExpr":
            left, right = _labels(tree.lhs), _labels(tree.rhs)
            on = set((tree.modifier and tree.modifier.matching and tree.modifier.matching.labels) or ())
            assert on <= left & right, f"{on} are not on both sides of {tree}"
            return left | (set() if str(tree.op) in ("and", "unless") else right)
        case "ParenExpr":
            return _labels(tree.expr)
        case "NumberLiteral":
            return set()
        case other:
            raise AssertionError(f"{other} is not known here: {tree}")


def _selected(selector: Any) -> set[str]:
    assert selector.name in KNOWN, f"there is no metric {selector.name}"
    labels = KNOWN[selector.name] | OF_TARGETS
    for matcher in selector.matchers.matchers:
        assert matcher.name in labels, f"{selector.name} has no label {matcher.name}"
        if matcher.name in VALUES and matcher.value != ".*":
            assert {*matcher.value.split("|")} <= VALUES[matcher.name], f"{selector}: no {matcher.value} occurs"
    return {*labels}
