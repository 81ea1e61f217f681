"""Whatever becomes of the stages while a release is at one of them: none that is yet to come is entered."""

from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from modelrollout.api.status import Phase, StageStatus
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages.way import way
from modelrollout.trial.steps import exposure_at, position, recorded
from modelrollout.trial.trial import Step
from tests import builders
from tests.fakes.town import NOON

EXAMPLES = int(os.environ.get("MODELROLLOUT_EXAMPLES", "0"))
many = settings(max_examples=20 * EXAMPLES or 400, derandomize=not EXAMPLES, deadline=None, database=None)

WEIGHTS = st.lists(st.sampled_from([1, 5, 10, 25, 40, 50, 60, 100]), min_size=1, max_size=3, unique=True).map(sorted)
NAMES = st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True)


@st.composite
def ways(draw: st.DrawFn) -> list[Step]:
    """The steps of a spec's stages, in any order and under any names."""
    stages = [builders.canary(*draw(WEIGHTS), name=name, hold="1m") for name in draw(NAMES)]
    wish = read_wish(builders.spec(stages=stages))
    assert isinstance(wish, Wish), wish
    return list(way(wish))


def of_stages(row: list[Step]) -> list[Step]:
    return [step for step in row if step.phase is Phase.PROGRESSING]


def standing_at(step: Step) -> StageStatus:
    return StageStatus.model_validate({**recorded(step.place, step.exposure), "entered": NOON, "since": NOON})


@many
@given(ways(), ways(), st.data())
def test_an_edit_leads_no_further_and_exposes_nobody_more(
    before: list[Step], after: list[Step], data: st.DataObject
) -> None:
    stage = standing_at(data.draw(st.sampled_from(of_stages(before))))
    found = after[position(after, Phase.PROGRESSING, stage)]
    steps = of_stages(after)
    last = max(step.place.index for step in steps)
    named = [step.place.index for step in steps if step.place.stage == stage.name]
    furthest = named[0] if named else min(stage.index, last)  # by its name, else where it stood
    assert found.place.index <= furthest
    if any(step.place.index <= furthest and step.exposure <= exposure_at(stage) for step in steps):
        assert found.exposure <= exposure_at(stage)
    else:  # a release begins with the first step that there is now
        assert found.place.number == 0


@many
@given(ways(), ways(), st.data())
def test_where_an_edit_led_to_is_where_it_stays(before: list[Step], after: list[Step], data: st.DataObject) -> None:
    stage = standing_at(data.draw(st.sampled_from(of_stages(before))))
    number = position(after, Phase.PROGRESSING, stage)
    assert position(after, Phase.PROGRESSING, standing_at(after[number])) == number


@many
@given(ways(), st.data())
def test_without_an_edit_it_stays_where_it_is(row: list[Step], data: st.DataObject) -> None:
    step = data.draw(st.sampled_from(of_stages(row)))
    assert row[position(row, Phase.PROGRESSING, standing_at(step))] == step
