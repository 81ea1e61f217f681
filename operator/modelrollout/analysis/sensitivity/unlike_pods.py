"""What is said before a release of pods that are not alike, and of pods of which too little is known. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.sensitivity.detectable import width_of_one_pod
from modelrollout.api.metric import Metric
from modelrollout.sequential.levels import HOUR
from modelrollout.sequential.noise import Mode

FEW_PODS = 2
"""With fewer it is unknown whether pods differ for good."""
NO_HISTORY = (
    "stable has no hour of history yet: until then a burst of errors in one pod, or pods that differ, may take an "
    "equal candidate back, and small regressions take longer"
)
ONE_POD = "stable has one pod, so how far pods differ is unknown, and the tolerance has to cover it"
NO_HISTORY_FOR_LIMITS = (
    "stable has no hour of history yet: until then a burst of errors in one pod counts as breaking the limit"
)


def remarks(metric: Metric, prior: Prior) -> Iterator[str]:
    """What the noise of stable's pods does to the comparison, in words."""
    if metric.ratio is None and metric.histogram is None:
        return
    if prior.mode is Mode.ASSUMED and prior.seen < HOUR:
        yield NO_HISTORY if metric.tolerance is not None else NO_HISTORY_FOR_LIMITS
    elif prior.mode is Mode.ASSUMED and _is_strict(metric) and metric.ratio is not None:
        yield "stable has too few errors to tell whether they come in bunches: give an absolute tolerance"
    if prior.mode is Mode.DISPERSED:
        yield f"its pods are noisy by themselves, so events count for {prior.inflation:.1f} times fewer"
    if prior.mode is Mode.RANKED:
        yield "its pods are noisy by themselves, so their ranks are compared, which takes longer"
    if metric.tolerance is None:
        return
    if prior.reach > 0:
        width = f"{width_of_one_pod(prior):.2g}"
        yield f"its pods differ for good, so a candidate of one pod may have up to {width} times stable's share"
    elif prior.pods is not None and prior.pods < FEW_PODS:
        yield ONE_POD


def _is_strict(metric: Metric) -> bool:
    tolerance = metric.tolerance
    return tolerance is not None and tolerance.relative.value <= 0 and tolerance.absolute.value <= 0
