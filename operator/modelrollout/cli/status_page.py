"""A rollout's status as a page of text: where it stands, what each metric said, what the plan can see. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelrollout.api.status import Arm, EvidenceStatus, MetricVerdict, ModelRolloutStatus, StageStatus
from modelrollout.traffic.exposure import Exposure
from modelrollout.trial.steps import exposure_at

NO_VALUE = "-"
COLUMNS = ("METRIC", "VERDICT", "CANDIDATE", "STABLE", "BOUND", "DIFFERENCE", "EVIDENCE", "RULED OUT")


def page(namespace: str, name: str, generation: int | None, status: ModelRolloutStatus) -> str:
    """All of it, ending in a newline."""
    parts = [
        list(_head(namespace, name, generation, status)),
        list(table(status.verdicts)),
        [verdict.message for verdict in status.verdicts],
        list(_sight(status.evidence)),
    ]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _head(namespace: str, name: str, generation: int | None, status: ModelRolloutStatus) -> Iterator[str]:
    stage = status.stage
    place = f", {stage.name} step {stage.step + 1}: {_reach(stage)}" if stage else ""
    yield f"{namespace}/{name}: {status.phase or 'no operator has looked at it yet'}{place}"
    if status.message:
        yield status.message
    if status.phase and generation is not None and (status.observed_generation or 0) < generation:
        yield "The spec was changed since; the operator has not looked at that yet."
    if status.candidate:
        yield f"candidate: {_arm(status.candidate)}, since {status.candidate.since:%Y-%m-%d %H:%M:%S} UTC"
    if status.stable:
        yield f"stable:    {_arm(status.stable)}"


def _reach(stage: StageStatus) -> str:
    exposure = exposure_at(stage)
    return f"{exposure} to the candidate" if exposure == Exposure(stage.weight) else str(exposure)


def _arm(arm: Arm) -> str:
    return f"{arm.model.name} {arm.model.version} ({arm.revision})"


def table(verdicts: Sequence[MetricVerdict]) -> Iterator[str]:
    """One line for each metric under a line of headings; nothing without verdicts."""
    if not verdicts:
        return
    rows = [COLUMNS, *map(_row, verdicts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _row(one: MetricVerdict) -> tuple[str, ...]:
    cells = (one.candidate, one.stable, one.bound, one.difference, one.evidence, one.ruled_out)
    return (one.metric, one.verdict.value, *(cell or NO_VALUE for cell in cells))


def _sight(evidence: EvidenceStatus | None) -> Iterator[str]:
    told = [
        sentence
        for one in (evidence.usual if evidence else ())
        for sentence in (one.sees, f"{one.metric}: {one.note}" if one.note else None)
        if sentence
    ]
    if told:
        yield "What the plan can see:"
        yield from (f"  {sentence}" for sentence in told)
