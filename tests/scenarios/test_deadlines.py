"""How waiting ends: holds, deadlines, and what the user chose for want of evidence."""

from __future__ import annotations

import pytest

from modelrollout.api.status import Phase
from tests import builders
from tests.fakes.town import releasing

STAGES = [{"name": "canary", "canary": {"weights": [10, 50], "hold": "1m"}}]


def analysis(on_inconclusive: str, deadline: str = "1m") -> dict[str, object]:
    return {
        "interval": "15s",
        "metrics": [builders.ERRORS],
        "onInconclusive": on_inconclusive,
        "stepDeadline": deadline,
    }


def test_good_candidate_passes_although_the_deadline_falls_on_the_end_of_the_hold() -> None:
    town = releasing(stages=STAGES, analysis=analysis("rollback"))
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


@pytest.mark.parametrize("trouble", ["is_silent", "is_down"])
def test_deadline_takes_the_candidate_back_where_the_user_chose_that(trouble: str) -> None:
    town = releasing(stages=STAGES, analysis=analysis("rollback", "3m"))
    setattr(town.metrics, trouble, True)
    town.go(Phase.PROGRESSING, 10)
    began = town.now
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert town.status.rejected[0].reason == "StepDeadlineExceeded"
    assert (town.now - began).total_seconds() >= 179


def test_deadline_promotes_a_candidate_with_too_little_traffic_where_the_user_chose_that() -> None:
    town = releasing(stages=STAGES, analysis=analysis("promote", "3m"))
    town.metrics.rps = 0.2
    town.go(Phase.HEALTHY)
    assert town.status.stable.revision == town.new


@pytest.mark.parametrize("trouble", [{"is_silent": True}, {"is_down": True}, {"rps": 0}])
@pytest.mark.parametrize("choice", ["promote", "hold"])
def test_no_deadline_promotes_without_data_or_traffic(trouble: dict[str, int], choice: str) -> None:
    town = releasing(stages=STAGES, analysis=analysis(choice, "3m"))
    for name, value in trouble.items():
        setattr(town.metrics, name, value)
    town.run(minutes=10)
    assert (town.phase, town.share(town.new)) == (Phase.PROGRESSING, 10)


@pytest.mark.parametrize(("hold", "until"), [("90s", "until 12:"), ("2d", "until 2026-01-03 12:")])
def test_time_at_which_a_wait_is_over_says_the_day_if_it_is_another(hold: str, until: str) -> None:
    stages = [{"name": "canary", "canary": {"weights": [10], "hold": hold}}]
    town = releasing(stages=stages, analysis=analysis("hold", "7d"))
    town.go(Phase.PROGRESSING, 10)
    town.run(seconds=10)
    assert until in town.status.message
