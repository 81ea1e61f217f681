"""Chronicles for the demo's tests: a release told in a few words. Times are seconds since the demo began."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from demo.chronicle import Chronicle, Circumstances, EventSeen, ReleaseStart, Split, StatusChange
from localcluster.load import Failure
from localcluster.load import Outcome as User
from modelrollout.api.status import (
    Arm,
    CandidateArm,
    MetricVerdict,
    ModelRolloutStatus,
    Outcome,
    Phase,
    StageStatus,
    Verdict,
    VersionInfo,
)

START = 1_800_000_000.0
NOON = datetime.fromtimestamp(START, UTC)
FACTS = Circumstances(
    started=START - 8,
    prepared=START,
    ended=START + 60,
    rate=100.0,
    api_server="built-in",
    api_version="v1.33.0",
    commands_by="kubectl",
)


def at(seconds: float) -> float:
    return START + seconds


def begun(seconds: float, version: str) -> ReleaseStart:
    return ReleaseStart(at(seconds), version, f"kubectl patch to {version}")


def user(
    seconds: float,
    version: str | None,
    *,
    harmed: bool = False,
    failure: Failure | None = None,
    helped: bool = False,
    who: str | None = None,
) -> User:
    """One request, answered 10 ms later."""
    return User(
        at=at(seconds),
        latency=0.01,
        status=500 if failure else 200,
        version=version,
        failure=failure,
        right=not harmed and failure is None,
        stable_right=not helped,
        harmed=harmed,
        user=who,
    )


def status(
    phase: Phase,
    *,
    stable: str | None = None,
    candidate: str | None = None,
    weight: int | None = None,
    asked: tuple[str, ...] = (),
    **more: object,
) -> ModelRolloutStatus:
    return ModelRolloutStatus(
        phase=phase,
        stable=Arm(**_arm(stable)) if stable else None,
        candidate=CandidateArm(**_arm(candidate), since=NOON) if candidate else None,
        stage=StageStatus(index=0, name="canary", step=0, weight=weight, asked=asked, entered=NOON, since=NOON)
        if weight is not None
        else None,
        **more,
    )


def ended(version: str, outcome: str, why: str = "because") -> Outcome:
    return Outcome(
        revision=version,
        model=VersionInfo(name="digits", version=version),
        outcome=outcome,
        reason="Why",
        message=why,
        at=NOON,
    )


def taken_back() -> Chronicle:
    """v2 serves. v3 is asked for at 0, gets 5 % at 4, fails a user at 5, loses its traffic at 7."""
    history = (ended("v3", "RolledBack", "errors: 20 % <of> requests & more"),)
    return Chronicle(
        facts=FACTS,
        releases=(begun(0, "v3"),),
        turns=(
            StatusChange(at(1), status(Phase.PENDING, stable="v2", candidate="v3")),
            StatusChange(at(4), status(Phase.PROGRESSING, stable="v2", candidate="v3", weight=5)),
            StatusChange(at(7.1), status(Phase.ROLLING_BACK, stable="v2", candidate="v3", weight=0)),
            StatusChange(at(8), status(Phase.ROLLED_BACK, stable="v2", history=history)),
        ),
        splits=(
            Split(at(-1), {"digits-v2": 100}),
            Split(at(4.1), {"digits-v2": 95, "digits-v3": 5}),
            Split(at(7), {"digits-v2": 100}),
        ),
        told=(EventSeen(at(7), "Warning", "RollingBack", "All traffic goes back to the stable version: <errors>"),),
        outcomes=(
            user(3, "v2"),
            user(4.5, "v3"),
            user(5, "v3", harmed=True, failure=Failure.SERVER),
            user(5.2, "v2"),
            user(6, "v3", harmed=True),
            user(7.2, "v3"),
            user(9, "v2", helped=True),
        ),
    )


def experiment() -> Chronicle:
    """v1 serves. v2 is tried from 4 on those in bucket b0, is better, and is promoted at 20."""
    tried = status(Phase.PROGRESSING, stable="v1", candidate="v2", weight=0, asked=("x-bucket: b0",))
    shown = MetricVerdict(metric="kept", verdict=Verdict.PASS, message="kept: 80% (stable 55%), which is better.")
    promoting = status(Phase.PROMOTING, stable="v1", candidate="v2", weight=100, verdicts=(shown,))
    healthy = status(Phase.HEALTHY, stable="v2", history=(ended("v2", "Promoted", "Version v2 serves everybody."),))
    return Chronicle(
        facts=FACTS,
        releases=(begun(0, "v2"),),
        turns=(
            StatusChange(at(4), tried),
            StatusChange(at(18), promoting),
            StatusChange(at(20), healthy),
        ),
        splits=(
            Split(at(-1), {"digits-v1": 100}),
            Split(at(4.1), {"digits-v1": 50, "digits-v2": 50}),
            Split(at(18), {"digits-v2": 100}),
        ),
        outcomes=(
            user(4.2, "v2", who="anne"),
            user(4.6, "v1", who="anne"),  # the gateway is about to follow
            user(6, "v2", who="anne"),
            user(7, "v2", who="anne"),
            user(6, "v1", who="bob"),
            user(19, "v2", who="bob"),
        ),
    )


def with_users(chronicle: Chronicle, *users: User) -> Chronicle:
    return replace(chronicle, outcomes=(*chronicle.outcomes, *users))


def _arm(version: str) -> dict[str, object]:
    return {
        "revision": version,
        "model": VersionInfo(name="digits", version=version),
        "workload": f"digits-{version}",
    }
