"""The backtest decides what the operator would have decided: both are run over the same past."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.resources import PODS
from modelrollout.promql.query import Answer, Query
from tests import builders
from tests.fakes.past import Past, Pod, from_then_on
from tests.fakes.town import NOON, Town
from tests.unit.cli.backtest.policies import ACCURACY, ERRORS, found, policy, replayed

HOUR = timedelta(hours=1)


class Asker:
    """Answers the operator out of a past."""

    def __init__(self, past: Past) -> None:
        self.past = past

    async def ask(self, namespace: str, named: object, queries: tuple[Query, ...]) -> Mapping[Query, Answer]:
        return await self.past.ask(queries)

    def note_share(self) -> None:
        """Nobody splits what is over."""


def operated(document: dict[str, Any], worse: dict[str, Any]) -> tuple[Town, Past, list[tuple[str, int, Any]]]:
    """The town after a release of version 2, and the steps that it took: name, weight, since."""
    town, spec = Town(), {key: value for key, value in document["spec"].items() if key not in ("model", "workload")}
    town.wish("1", **spec)
    town.go(Phase.HEALTHY, minutes=2)
    names = [pod["metadata"]["name"] for pod in town.cluster.all(PODS)]
    new = town.wish("2", **spec)
    pods = [*(Pod(name, rps=60) for name in names), Pod(f"fraud-{new}-0bbbb", rps=40, **worse)]
    past = Past(pods, NOON - 7 * HOUR, NOON + 3 * HOUR)
    town.metrics = Asker(past)  # type: ignore[assignment]  # all that the operator wants of it
    town.restart()
    steps: list[tuple[str, int, Any]] = []

    def follow(town: Town) -> bool:
        stage = town.status.stage
        if stage is not None and town.phase in (Phase.PROGRESSING, Phase.BAKING):
            step = (stage.name, stage.weight, stage.since)
            if not steps or steps[-1][:2] != step[:2]:
                steps.append(step)
            steps[-1] = step
        return town.phase in (Phase.HEALTHY, Phase.ROLLED_BACK) and bool(steps)

    town.run(until=follow, minutes=90)
    return town, past, steps


CANARY = {"name": "canary", "canary": {"weights": [5, 25, 50, 100], "hold": "2m"}}
SHADOW = builders.shadow(methods=["POST"], hold="2m")
SWITCH = builders.blue_green(preview={"header": {"name": "x", "value": "1"}}, previewHold="2m", hold="2m")


@pytest.mark.parametrize(
    ("worse", "stages"),
    [
        ({}, [CANARY]),
        ({"errors": from_then_on(0.01, 0.03, NOON + timedelta(minutes=6))}, [CANARY]),
        ({}, [SHADOW, SWITCH]),
    ],
    ids=["good", "bad later", "copies and a switch"],
)
def test_steps_and_end_come_when_the_operator_takes_them(
    worse: dict[str, Any], stages: list[dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = policy(ERRORS, ACCURACY, stages=stages)
    if CANARY in stages:  # nobody split the past, and with a gateway the operator would see that
        document["spec"]["traffic"] = {"port": 8080, "service": {}}
    town, past, steps = operated(document, worse)
    status: ModelRolloutStatus = town.status
    start = steps[0][2]
    revision = (
        next(iter(status.rejected)).revision if status.rejected else status.stable.revision if status.stable else ""
    )
    arms = ("--candidate-pods", f"fraud-{revision}-.+", "--stable-selector", f'pod!~"fraud-{revision}-.+"')
    when = ("--start", start.isoformat(), "--end", (start + HOUR).isoformat())
    assert replayed(tmp_path, document, past, NOON + 3 * HOUR, [*when, *arms, "-o", "json"]) == 0
    outcome = found(capsys)
    assert outcome["outcome"] == ("TakenBack" if worse else "Promoted")
    assert status.history[0].outcome == ("RolledBack" if worse else "Promoted")
    ours = [(one["name"], one["weight"], datetime.fromisoformat(one["at"])) for one in outcome["steps"]]
    assert ours == steps
    assert datetime.fromisoformat(outcome["at"]) == status.history[0].at
    assert outcome["why"] == (status.rejected[0].message if worse else None)
