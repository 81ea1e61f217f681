"""The findings for machines. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from modelrollout.api.status import UsualMetric
from modelrollout.cli.backtest.alarms import CONFIDENCE, Alarms
from modelrollout.cli.backtest.comparison import CandidateReplay
from modelrollout.cli.backtest.history import noise_of
from modelrollout.cli.backtest.replay import PROMOTED, ROLLED_BACK
from modelrollout.cli.backtest.table import ending


def comparison_document(comparison: CandidateReplay) -> dict[str, Any]:
    turn = comparison.end_turn
    took = turn is not None and turn.stage == ROLLED_BACK
    onset = comparison.onset
    after = (turn.at - onset).total_seconds() if took and turn is not None and onset is not None else None
    return {
        "kind": "candidate-against-stable",
        "rollout": {"namespace": comparison.policy.namespace, "name": comparison.policy.name},
        "start": _at(comparison.start),
        "end": _at(comparison.end),
        "onset": _at(comparison.onset) if comparison.onset else None,
        "summary": ending(comparison),
        "outcome": {ROLLED_BACK: "TakenBack", PROMOTED: "Promoted"}[turn.stage] if turn else "Undecided",
        "at": _at(turn.at) if turn else None,
        "secondsAfterStart": (turn.at - comparison.start).total_seconds() if turn else None,
        "secondsAfterOnset": after,
        "why": turn.why or None if turn else None,
        "weight": comparison.turns[-1].weight if comparison.turns else 0,
        "steps": [
            {"name": one.stage, "weight": one.weight, "at": _at(one.at)}
            for one in comparison.turns
            if one.stage not in (PROMOTED, ROLLED_BACK)
        ],
        "looks": comparison.looks,
        "metrics": [
            {
                "name": each.metric,
                "firstPass": _at(each.first_pass) if each.first_pass else None,
                "firstFail": _at(each.first_fail) if each.first_fail else None,
                "last": each.last.model_dump(mode="json", by_alias=True, exclude_none=True) if each.last else None,
                "looks": [
                    {
                        "at": point.at,
                        "verdict": point.verdict.value,
                        "evidence": point.evidence,
                        "ruledOut": point.ruled_out,
                    }
                    for point in each.points
                ],
            }
            for each in comparison.histories
        ],
        "history": _usual(comparison.usual),
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
