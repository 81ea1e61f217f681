"""The findings for machines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from modelrollout.api.status import UsualMetric
from modelrollout.cli.backtest.alarms import CONFIDENCE, Alarms
from modelrollout.cli.backtest.history import noise_of
from modelrollout.cli.backtest.replay import PROMOTED, ROLLED_BACK
from modelrollout.cli.backtest.table import ending
from modelrollout.cli.backtest.trial import Trial


def trial_document(trial: Trial) -> dict[str, Any]:
    turn = trial.end_turn
    took = turn is not None and turn.stage == ROLLED_BACK
    after = (turn.at - trial.onset).total_seconds() if took and turn is not None and trial.onset is not None else None
    return {
        "kind": "candidate-against-stable",
        "rollout": {"namespace": trial.policy.namespace, "name": trial.policy.name},
        "start": _at(trial.start),
        "end": _at(trial.end),
        "onset": _at(trial.onset) if trial.onset else None,
        "summary": ending(trial),
        "outcome": {ROLLED_BACK: "TakenBack", PROMOTED: "Promoted"}[turn.stage] if turn else "Undecided",
        "at": _at(turn.at) if turn else None,
        "secondsAfterStart": (turn.at - trial.start).total_seconds() if turn else None,
        "secondsAfterOnset": after,
        "why": turn.why or None if turn else None,
        "weight": trial.turns[-1].weight if trial.turns else 0,
        "steps": [
            {"name": one.stage, "weight": one.weight, "at": _at(one.at)}
            for one in trial.turns
            if one.stage not in (PROMOTED, ROLLED_BACK)
        ],
        "looks": trial.looks,
        "metrics": [
            {
                "name": course.metric,
                "firstPass": _at(course.first_pass) if course.first_pass else None,
                "firstFail": _at(course.first_fail) if course.first_fail else None,
                "last": course.last.model_dump(mode="json", by_alias=True, exclude_none=True) if course.last else None,
                "looks": [
                    {
                        "at": point.at,
                        "verdict": point.verdict.value,
                        "evidence": point.evidence,
                        "ruledOut": point.ruled_out,
                    }
                    for point in course.points
                ],
            }
            for course in trial.courses
        ],
        "history": _usual(trial.usual),
    }


def alarms_document(found: Alarms) -> dict[str, Any]:
    per_week, low, high = found.per_week
    return {
        "kind": "stable-against-stable",
        "rollout": {"namespace": found.policy.namespace, "name": found.policy.name},
        "start": _at(found.start),
        "end": _at(found.end),
        "rollouts": found.rollouts,
        "secondsOfEach": found.window.total_seconds(),
        "secondsInAll": found.exposure.total_seconds(),
        "pods": sorted(found.pods),
        "falseAlarms": len(found.alarms),
        "falseAlarmsPerWeek": {"counted": per_week, "low": low, "high": high, "confidence": CONFIDENCE},
        "shareOfRollouts": len(found.alarms) / found.rollouts,
        "falseRollbackRate": found.policy.analysis.false_rollback_rate.value,
        "wentThrough": found.promoted,
        "stillWaiting": [
            {"weight": left.weight, "metrics": list(left.metrics), "rollouts": count}
            for left, count in found.left.most_common()
        ],
        "alarms": [
            {
                "at": _at(one.at),
                "began": _at(one.began),
                "pod": one.pod,
                "weight": one.weight,
                "metrics": list(one.metrics),
                "message": one.message,
            }
            for one in found.alarms
        ],
        "noise": {metric: dict(modes) for metric, modes in found.modes.items()},
        "notes": [
            {"metric": metric, "note": note, "times": times} for (metric, note), times in found.notes.most_common()
        ],
        "sees": found.sees,
        "withoutData": dict(found.without_data),
    }


def _usual(usual: Sequence[UsualMetric]) -> list[dict[str, Any]]:
    return [
        {"metric": one.metric, "noise": noise_of(one), "sees": one.sees, "isBlind": one.is_blind, "note": one.note}
        for one in usual
    ]


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
