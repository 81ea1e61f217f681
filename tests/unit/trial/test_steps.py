"""Where a rollout stands among the steps of its spec, also when the spec is edited under it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from modelrollout.api.status import Phase, StageStatus
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages.way import way
from modelrollout.trial.steps import position
from modelrollout.trial.trial import Step
from tests import builders
from tests.fakes.town import NOON

Stages = dict[str, list[int]]


def rows(stages: Stages) -> tuple[Step, ...]:
    spec = [{"name": name, "canary": {"weights": weights, "hold": "1m"}} for name, weights in stages.items()]
    wish = read_wish(builders.spec(stages=spec))
    assert isinstance(wish, Wish), wish
    return way(wish)


def standing(index: int, name: str, step: int, weight: int) -> StageStatus:
    return StageStatus(index=index, name=name, step=step, weight=weight, entered=NOON, since=NOON)


def test_steps_of_all_stages_stand_in_one_row() -> None:
    assert [
        (s.place.index, s.place.stage, s.place.number, s.exposure.weight)
        for s in rows({"small": [1, 5], "canary": [5, 50]})
    ] == [
        (0, "small", 0, 1),
        (0, "small", 1, 5),
        (1, "canary", 0, 5),
        (1, "canary", 1, 50),
        (2, "promotion", 0, 100),
        (2, "promotion", 0, 100),
    ]


def test_stages_may_stand_in_any_order() -> None:
    row = rows({"wide": [50, 80], "narrow": [5]})
    assert [step.exposure.weight for step in row] == [50, 80, 5, 100, 100]
    assert position(row, Phase.PROGRESSING, standing(1, "narrow", 0, 5)) == 2


def test_hold_of_a_step_goes_before_that_of_its_canary() -> None:
    canary = {"hold": "5m", "steps": [{"weight": 5}, {"weight": 50, "hold": "0s"}]}
    wish = read_wish(builders.spec(stages=[{"name": "c", "canary": canary}]))
    assert isinstance(wish, Wish)
    assert [step.hold for step in way(wish)][:2] == [timedelta(minutes=5), timedelta()]


AT_25 = standing(0, "canary", 1, 25)
AT_50 = standing(0, "canary", 2, 50)
AT_B5 = standing(1, "b", 0, 5)


@pytest.mark.parametrize(
    ("why", "at", "edited", "then"),
    [
        ("nothing changed", AT_25, {"canary": [5, 25, 50]}, ("canary", 25)),
        ("a later step changed", AT_25, {"canary": [5, 25, 80, 100]}, ("canary", 25)),
        ("the step is gone", AT_25, {"canary": [5, 50]}, ("canary", 5)),
        ("the step asks for more now", AT_25, {"canary": [5, 30, 50]}, ("canary", 5)),
        ("the step is another one now", AT_25, {"canary": [1, 5, 25, 50]}, ("canary", 25)),
        ("all steps ask for more", AT_25, {"canary": [50, 100]}, ("canary", 50)),
        ("a stage was put before it", AT_25, {"small": [1], "canary": [5, 25, 50]}, ("canary", 25)),
        ("the stage has another name", AT_25, {"wide": [5, 25, 50]}, ("wide", 25)),
        ("the stage is gone", AT_B5, {"a": [1, 3], "c": [10, 20]}, ("a", 3)),
        ("the step is gone, a stage to come has its weight", AT_25, {"canary": [5], "next": [25, 50]}, ("canary", 5)),
        ("its stage has another name and other steps", AT_50, {"wide": [5, 40], "next": [45]}, ("wide", 40)),
        ("its stage has no lower step, the one before has", AT_B5, {"a": [1, 3], "b": [20]}, ("a", 3)),
    ],
)
def test_edited_spec_is_taken_up_where_no_more_traffic_is_asked_for_when(
    why: str, at: StageStatus, edited: Stages, then: tuple[str, int]
) -> None:
    row = rows(edited)
    step = row[position(row, Phase.PROGRESSING, at)]
    assert (step.place.stage, step.exposure.weight) == then
