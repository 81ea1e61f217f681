"""Specs and objects for tests, made of what matters to each. All that is exported here is imported from here."""

from tests.builders.metrics import ERRORS, good_metric, histogram_metric, metric, value_metric
from tests.builders.objects import deployment, metric_template, rollout, settings
from tests.builders.specs import (
    GONE,
    Spec,
    ab_test,
    blue_green,
    canary,
    edited,
    shadow,
    small,
    smoke,
    spec,
    stepwise,
    workload_ref,
)

__all__ = [
    "ERRORS",
    "GONE",
    "Spec",
    "ab_test",
    "blue_green",
    "canary",
    "deployment",
    "edited",
    "good_metric",
    "histogram_metric",
    "metric",
    "metric_template",
    "rollout",
    "settings",
    "shadow",
    "small",
    "smoke",
    "spec",
    "stepwise",
    "value_metric",
    "workload_ref",
]
