"""The preflight that the operator makes before a rollout: noise and sensitivity from stable's past."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from modelrollout.analysis.evidence.ticks import tick_of
from modelrollout.analysis.queries import ArmNames, history_queries
from modelrollout.analysis.sensitivity.preflight import prior_of
from modelrollout.api.analysis import Analysis
from modelrollout.api.status import UsualMetric
from modelrollout.cli.backtest.fetch import Fetcher
from modelrollout.cli.backtest.policy import Policy
from modelrollout.plan.history import summarised
from modelrollout.promql.query import Answer, Answered, Query
from modelrollout.sequential.noise import Mode


def preflight_queries(analysis: Analysis, stable: ArmNames, pods: Sequence[str], at: datetime) -> tuple[Query, ...]:
    """The queries that the operator asks about the time before `at`."""
    return history_queries(analysis, stable, pods, at, tick_of(analysis.interval.timedelta))


def usual_metrics(
    policy: Policy, queries: Sequence[Query], answers: Mapping[Query, Answer], basis: Mapping[str, str]
) -> tuple[UsualMetric, ...]:
    """The summary that the operator would have stored in status."""
    return summarised(policy.wish, queries, answers, basis)


def noise_of(one: UsualMetric) -> str:
    """How a metric's noise is allowed for. For an expression it can only be measured between pods."""
    is_measured = one.mode == Mode.ASSUMED and prior_of(one).variance is not None
    return "Measured" if is_measured else one.mode


async def pods_by_label(fetcher: Fetcher, label: str, arm: ArmNames, matchers: str, at: datetime) -> set[str]:
    """The pods of an arm that have any series at all at a moment; for metrics that are expressions only."""
    more = f",{matchers}" if matchers else ""
    pods = arm.values(timedelta(minutes=1))["pods"]
    promql = f'group by ({label}) ({{{label}=~"{pods}"{more}}})'
    query = Query("", arm.arm, "", promql, at.astimezone(UTC), at.astimezone(UTC), timedelta(seconds=1))
    answer = (await fetcher.answers([query]))[query]
    if not isinstance(answer, Answered):
        return set()
    return {pod for one in answer.series if (pod := one.labels.get(label))}
