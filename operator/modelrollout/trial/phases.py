"""The phases of a rollout and what may follow what. Pure.

Rules:
1. Every step a rollout takes from phase to phase is in this table; a test walks generated worlds to prove it.
2. Only Progressing, Promoting and Baking ever give the candidate traffic.
3. RollingBack leads to RolledBack, or out of the rollout altogether; never back to where the candidate gets traffic.
"""

from __future__ import annotations

from collections.abc import Mapping

from modelrollout.api.status import ModelRolloutStatus, Phase

_P = Phase

TRANSITIONS: Mapping[Phase | None, Mapping[Phase, str]] = {
    None: {_P.PENDING: "created", _P.HEALTHY: "its objects were found serving"},
    _P.PENDING: {
        _P.PROGRESSING: "candidate is ready",
        _P.PROMOTING: "stable has no ready pod, and the candidate can serve everybody; or promote-full",
        _P.HEALTHY: "first version is ready, or the spec went back to stable",
        _P.ROLLING_BACK: "crash loop, progress deadline or abort",
        _P.ROLLED_BACK: "the spec went back to a rejected revision",
    },
    _P.PROGRESSING: {
        _P.PROMOTING: "last step passed, stable has no ready pod, or promote-full",
        _P.ROLLING_BACK: "failed verdict, crash loop, deadline or abort",
        _P.PENDING: "new revision",
        _P.HEALTHY: "the spec went back to stable",
        _P.ROLLED_BACK: "the spec went back to a rejected revision",
    },
    _P.PROMOTING: {
        _P.BAKING: "candidate has all traffic",
        _P.ROLLING_BACK: "failed verdict, crash loop, deadline or abort",
        _P.PENDING: "new revision",
        _P.HEALTHY: "the spec went back to stable",
        _P.ROLLED_BACK: "the spec went back to a rejected revision",
    },
    _P.BAKING: {
        _P.HEALTHY: "bake is over, or the spec went back to stable",
        _P.ROLLING_BACK: "failed verdict, crash loop, deadline or abort",
        _P.PENDING: "new revision",
        _P.ROLLED_BACK: "the spec went back to a rejected revision",
    },
    _P.HEALTHY: {_P.PENDING: "new revision", _P.ROLLED_BACK: "the spec went back to a rejected revision, or undo"},
    _P.ROLLING_BACK: {
        _P.ROLLED_BACK: "stable has all traffic",
        _P.PENDING: "new revision",
        _P.HEALTHY: "the spec went back to stable",
    },
    _P.ROLLED_BACK: {_P.PENDING: "new revision", _P.HEALTHY: "the spec went back to stable"},
}
"""From any of these the phase also becomes Invalid while the spec is broken, and goes on once it is mended."""

SERVES_CANDIDATE = frozenset({_P.PROGRESSING, _P.PROMOTING, _P.BAKING})
HAS_CANDIDATE_AHEAD = SERVES_CANDIDATE | {_P.PENDING}
"""A candidate is on its way to users, or has some."""


def intended(status: ModelRolloutStatus) -> Phase | None:
    """The phase apart from a spec that is broken at the moment."""
    return status.resumes if status.phase is Phase.INVALID else status.phase


def is_allowed(before: Phase | None, after: Phase | None) -> bool:
    """Whether one pass may lead from one intended phase to the other."""
    return before == after or after in TRANSITIONS.get(before, {})


def table() -> str:
    """What may follow what as a table, for docs/life-of-a-rollout.md."""
    rows = [
        f"| {before or ''} | {after} | {why} |" for before, nexts in TRANSITIONS.items() for after, why in nexts.items()
    ]
    return "\n".join(["| From | To | When |", "|---|---|---|", *rows])
