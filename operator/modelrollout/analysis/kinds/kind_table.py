"""The kinds of metric, by the field of a metric that is set. A new kind is one file and one line here. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.analysis.kinds import histogram, mean, pairs, ratio, value
from modelrollout.analysis.kinds.metric_kind import MetricKind
from modelrollout.api.metric import Metric

KINDS: Mapping[str, MetricKind] = {
    "ratio": ratio.KIND,
    "histogram": histogram.KIND,
    "value": value.KIND,
    "mean": mean.KIND,
    "pairs": pairs.KIND,
}


def kind_of(metric: Metric) -> MetricKind:
    return KINDS[metric.kind]
