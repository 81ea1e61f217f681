"""The state of rollouts as gauges, made when Prometheus asks: none can lag behind its rollout, or outlive it.

Nothing of it is worked out in a pass, and a value that cannot be read is left out.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from modelrollout.analysis.wording import value_in
from modelrollout.api.status import MetricVerdict, ModelRolloutStatus
from modelrollout.shell import metrics
from modelrollout.shell.metrics import Described
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.traffic.exposure import NOBODY
from modelrollout.trial.steps import exposure_at

MOST_METRICS = 32
"""Metrics of one rollout that are shown; presets can make more."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a rollout's gauges are made from. Status has verdicts of a minute ago; these are the last look's."""

    status: ModelRolloutStatus
    verdicts: tuple[MetricVerdict, ...]


class ShownRollouts(Collector):
    """Reads a mapping that passes write to, in whatever thread. Of more than `most`, those in release come first."""

    def __init__(self, rollouts: dict[RolloutKey, Shown], most: int) -> None:
        self._rollouts, self._most = rollouts, most

    def describe(self) -> Iterator[Metric]:
        """Without it the registry would collect once at the start."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        known = self._rollouts.copy()
        by_phase = Counts(one.status.phase.value for one in known.values() if one.status.phase is not None)
        families = _Families()
        hidden = 0
        for key, one in islice(_most_urgent(known), self._most):
            hidden += max(0, len(one.verdicts) - MOST_METRICS)
            _show(families, key, one)
        for phase, count in by_phase.items():
            families.add(metrics.ROLLOUTS, (phase,), count)
        families.add(metrics.NOT_SHOWN, ("rollouts",), max(0, len(known) - self._most))
        families.add(metrics.NOT_SHOWN, ("metrics",), hidden)
        yield from families.made.values()


class _Families:
    """One for each metric, empty at first."""

    def __init__(self) -> None:
        described = (metrics.ROLLOUTS, metrics.NOT_SHOWN, *metrics.OF_A_ROLLOUT)
        self.made: dict[Described, GaugeMetricFamily] = {one: one.gauges() for one in described}

    def add(self, metric: Described, labels: tuple[str, ...], value: float | None) -> None:
        if value is not None:
            self.made[metric].add_metric(labels, value)


def _most_urgent(known: Mapping[RolloutKey, Shown]) -> Iterable[tuple[RolloutKey, Shown]]:
    """Otherwise in the order in which they came, so that none comes and goes."""
    return sorted(known.items(), key=lambda one: one[1].status.candidate is None)


def _show(families: _Families, key: RolloutKey, shown: Shown) -> None:
    status, stage = shown.status, shown.status.stage
    if status.phase is not None:
        families.add(metrics.PHASE, (*key, status.phase.value), 1)
    exposure = exposure_at(stage) if stage and status.candidate else NOBODY
    families.add(metrics.WEIGHT, key, exposure.weight / 100)
    families.add(metrics.MIRROR, key, float(exposure.mirror) / 100)
    versions = (arm.model.version if arm else "" for arm in (status.stable, status.candidate))
    families.add(metrics.VERSIONS, (*key, *versions), 1)
    for condition in status.conditions:
        families.add(metrics.CONDITION, (*key, condition.type, condition.status), 1)
    if stage and status.candidate:
        families.add(metrics.STEP_BEGAN, (*key, stage.name, str(stage.step)), stage.entered.timestamp())
    for rejection in status.rejected[:1]:
        labels = (*key, rejection.model.version, rejection.reason)
        families.add(metrics.TAKEN_BACK, labels, rejection.at.timestamp())
    for outcome in status.history[:1]:
        families.add(
            metrics.ENDED, (*key, outcome.model.version, outcome.outcome, outcome.reason), outcome.at.timestamp()
        )
    for verdict in shown.verdicts[:MOST_METRICS]:
        _show_verdict(families, (*key, verdict.metric), verdict)


def _show_verdict(families: _Families, labels: tuple[str, ...], said: MetricVerdict) -> None:
    families.add(metrics.VERDICT, (*labels, said.verdict.value), 1)
    for arm, value, samples in (
        ("candidate", said.candidate, said.samples),
        ("stable", said.stable, said.stable_samples),
    ):
        families.add(metrics.VALUE, (*labels, arm), value_in(value))
        families.add(metrics.SAMPLES, (*labels, arm), samples)
    families.add(metrics.EVIDENCE, labels, value_in(said.evidence))
    families.add(metrics.RULED_OUT, labels, value_in(said.ruled_out))
