"""The state of rollouts as gauges, made when Prometheus asks: none can lag behind its rollout, or outlive it.

Nothing of it is worked out in a pass, and a value that cannot be read is left out.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from prometheus_client.core import Metric, Sample
from prometheus_client.registry import Collector

from modelrollout.analysis.wording import value_in
from modelrollout.api.status import MetricVerdict, ModelRolloutStatus
from modelrollout.shell import metrics
from modelrollout.shell.metrics import Described
from modelrollout.shell.wakeups import RolloutKey
from modelrollout.traffic.exposure import NOBODY, Exposure
from modelrollout.trial.steps import exposure_at

MOST_METRICS = 32
"""Metrics of one rollout that are shown; presets can make more."""
Point = tuple[tuple[str, ...], float | None]
"""The values of labels, in their order, and a value that may be none."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a rollout's gauges are made from. Status has verdicts of a minute ago; these are the last look's."""

    status: ModelRolloutStatus
    verdicts: tuple[MetricVerdict, ...]


class ShownRollouts(Collector):
    """Reads a mapping that passes write to, in whatever thread. Of more than `most`, those in release come first.

    No sample is made before it is written. As a list, those of a thousand rollouts set off a search for garbage among
    all that the process keeps, and that holds up every thread.
    """

    def __init__(self, rollouts: dict[RolloutKey, Shown], most: int) -> None:
        self._rollouts, self._most = rollouts, most

    def describe(self) -> Iterator[Metric]:
        """Without it the registry would collect once at the start."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        known = self._rollouts.copy()
        shown = dict(islice(_most_urgent(known), self._most))
        by_phase = Counts(one.status.phase.value for one in known.values() if one.status.phase is not None)
        hidden = {
            "rollouts": len(known) - len(shown),
            "metrics": sum(max(0, len(one.verdicts) - MOST_METRICS) for one in shown.values()),
        }
        yield _gauges(metrics.ROLLOUTS, (((phase,), count) for phase, count in by_phase.items()))
        yield _gauges(metrics.NOT_SHOWN, (((of,), count) for of, count in hidden.items()))
        for described, of_a_rollout in _OF_A_ROLLOUT.items():
            yield _gauges(described, _points(shown, of_a_rollout))
        for described, of_a_metric in _OF_A_METRIC.items():
            yield _gauges(described, _points_of_metrics(shown, of_a_metric))


def _most_urgent(known: Mapping[RolloutKey, Shown]) -> Iterable[tuple[RolloutKey, Shown]]:
    """Otherwise in the order in which they came, so that none comes and goes."""
    return sorted(known.items(), key=lambda one: one[1].status.candidate is None)


def _gauges(described: Described, points: Iterator[Point]) -> Metric:
    made = described.gauges()
    made.samples = (  # type: ignore[assignment]  # which the writer goes through once
        Sample(described.name, dict(zip(described.labels, labels, strict=True)), value)
        for labels, value in points
        if value is not None
    )
    return made


def _points(
    shown: Mapping[RolloutKey, Shown], of_a_rollout: Callable[[ModelRolloutStatus], Iterable[Point]]
) -> Iterator[Point]:
    for key, one in shown.items():
        for labels, value in of_a_rollout(one.status):
            yield (*key, *labels), value


def _points_of_metrics(
    shown: Mapping[RolloutKey, Shown], of_a_metric: Callable[[MetricVerdict], Iterable[Point]]
) -> Iterator[Point]:
    for key, one in shown.items():
        for verdict in one.verdicts[:MOST_METRICS]:
            for labels, value in of_a_metric(verdict):
                yield (*key, verdict.metric, *labels), value


# What a status says


def _phase(status: ModelRolloutStatus) -> Iterable[Point]:
    return [((status.phase.value,), 1)] if status.phase is not None else []


def _exposure(status: ModelRolloutStatus) -> Exposure:
    return exposure_at(status.stage) if status.stage and status.candidate else NOBODY


def _weight(status: ModelRolloutStatus) -> Iterable[Point]:
    return [((), _exposure(status).weight / 100)]


def _mirror(status: ModelRolloutStatus) -> Iterable[Point]:
    return [((), float(_exposure(status).mirror) / 100)]


def _versions(status: ModelRolloutStatus) -> Iterable[Point]:
    return [(tuple(arm.model.version if arm else "" for arm in (status.stable, status.candidate)), 1)]


def _conditions(status: ModelRolloutStatus) -> Iterable[Point]:
    return (((condition.type, condition.status), 1) for condition in status.conditions)


def _step_began(status: ModelRolloutStatus) -> Iterable[Point]:
    stage = status.stage
    return [((stage.name, str(stage.step)), stage.entered.timestamp())] if stage and status.candidate else []


def _taken_back(status: ModelRolloutStatus) -> Iterable[Point]:
    return (((one.model.version, one.reason), one.at.timestamp()) for one in status.rejected[:1])


def _ended(status: ModelRolloutStatus) -> Iterable[Point]:
    return (((one.model.version, one.outcome, one.reason), one.at.timestamp()) for one in status.history[:1])


_OF_A_ROLLOUT: Mapping[Described, Callable[[ModelRolloutStatus], Iterable[Point]]] = {
    metrics.PHASE: _phase,
    metrics.WEIGHT: _weight,
    metrics.MIRROR: _mirror,
    metrics.VERSIONS: _versions,
    metrics.CONDITION: _conditions,
    metrics.STEP_BEGAN: _step_began,
    metrics.TAKEN_BACK: _taken_back,
    metrics.ENDED: _ended,
}


# What a verdict says


def _verdict(said: MetricVerdict) -> Iterable[Point]:
    return [((said.verdict.value,), 1)]


def _values(said: MetricVerdict) -> Iterable[Point]:
    return [(("candidate",), value_in(said.candidate)), (("stable",), value_in(said.stable))]


def _samples(said: MetricVerdict) -> Iterable[Point]:
    return [(("candidate",), said.samples), (("stable",), said.stable_samples)]


def _evidence(said: MetricVerdict) -> Iterable[Point]:
    return [((), value_in(said.evidence))]


def _ruled_out(said: MetricVerdict) -> Iterable[Point]:
    return [((), value_in(said.ruled_out))]


_OF_A_METRIC: Mapping[Described, Callable[[MetricVerdict], Iterable[Point]]] = {
    metrics.VERDICT: _verdict,
    metrics.VALUE: _values,
    metrics.SAMPLES: _samples,
    metrics.EVIDENCE: _evidence,
    metrics.RULED_OUT: _ruled_out,
}
