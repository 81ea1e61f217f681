"""A kind of stage is a function that gives steps. What a step says is done, and nothing else knows the kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from modelrollout.api.findings import Finding
from modelrollout.api.stages import Canary
from modelrollout.api.status import Phase
from modelrollout.objects.manifests import REVISION_LABEL, Apply
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, SERVICES
from modelrollout.plan.history import stretches
from modelrollout.rollout.rollout import Wish, read_wish
from modelrollout.stages import way as stages
from modelrollout.stages.canary import beginning_at
from modelrollout.traffic.exposure import EVERYBODY, Exposure, Match
from modelrollout.trial.trial import Step, Trial
from tests import builders
from tests.fakes.town import OWNER, Town, releasing

NO = Finding("GateSaidNo", "the gate says no.")
PLAIN = {"port": 8080, "service": {}}


def forget() -> None:
    """Equal specs are one wish, whose way is found once; here the kinds of stages change in between."""
    stages.way.cache_clear()
    stages.fault.cache_clear()


@pytest.fixture(autouse=True)
def _no_way_is_remembered() -> Iterator[None]:
    forget()
    yield
    forget()


def of_canaries(monkeypatch: pytest.MonkeyPatch, steps: Callable[..., Iterator[Step]]) -> None:
    """From now on these are the steps of a canary."""
    monkeypatch.setitem(stages.STAGES, stages.Canary, steps)  # type: ignore[arg-type]  # a dictionary
    forget()


def releasing_with(monkeypatch: pytest.MonkeyPatch, traffic: dict[str, Any] | None = None, **fields: Any) -> Town:
    """A release whose first step is another one than a canary's."""
    canary = stages.STAGES[stages.Canary]

    def steps(index: int, name: str, kind: Any, wish: Wish) -> Iterator[Step]:
        first, *others = canary(index, name, kind, wish)
        yield replace(first, **fields)
        yield from others

    of_canaries(monkeypatch, steps)
    return releasing(**({"traffic": traffic} if traffic else {}))


def test_copies_are_given_and_users_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    town = releasing_with(monkeypatch, exposure=Exposure(mirror=20))
    town.run(until=lambda town: town.phase is Phase.PROGRESSING and "filters" in _rule(town), minutes=5)
    mirror = {"backendRef": {"name": f"fraud-{town.new}", "port": 80}, "percent": 20}
    assert _rule(town)["filters"] == [{"type": "RequestMirror", "requestMirror": mirror}]
    assert town.share(town.new) == 0
    assert (town.status.stage.weight, town.status.stage.mirror) == (0, 20)


def test_copies_are_taken_back_like_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    town = releasing_with(monkeypatch, exposure=Exposure(mirror=100))
    town.run(until=lambda town: "filters" in _rule(town), minutes=5)
    town.cluster.crashing[f"fraud-{town.new}"] = 5
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert "filters" not in _rule(town)


def test_a_router_that_cannot_do_what_a_step_asks_for_is_told_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    town = releasing_with(monkeypatch, PLAIN)
    monkeypatch.undo()
    asked = Exposure(asked=frozenset({Match("x-preview", "1")}))
    canary = stages.STAGES[stages.Canary]

    def steps(*given: Any) -> Iterator[Step]:
        yield from (replace(step, exposure=asked) for step in canary(*given))

    of_canaries(monkeypatch, steps)
    town.run(seconds=5)
    assert town.phase is Phase.INVALID
    assert "use traffic.gatewayAPI" in (town.status.message or "")
    assert town.share(town.old) == 100


def test_a_check_of_its_own_takes_the_candidate_back(monkeypatch: pytest.MonkeyPatch) -> None:
    town = releasing_with(monkeypatch, fails=(lambda _: NO,))
    town.go(Phase.ROLLED_BACK, minutes=5)
    assert town.status.rejected[0].reason == NO.reason


def test_metrics_that_do_not_decide_there_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    town = releasing_with(monkeypatch, judged=frozenset())
    town.metrics.is_silent = True
    town.run(until=lambda town: town.status.stage is not None and town.status.stage.step == 1, minutes=10)


def test_nobody_buys_because_of_a_copy_so_copies_are_not_judged_by_a_goal() -> None:
    ratio = {"good": 'clicks_total{pod=~"{{ pods }}"}', "total": 'views_total{pod=~"{{ pods }}"}'}
    clicks = {"name": "clicks", "ratio": ratio, "tolerance": {"absolute": "2%"}}
    experiment = builders.ab_test(goal={"metric": "clicks", "superiority": True})
    copies = builders.shadow(), builders.blue_green(preview={"header": {"name": "x", "value": "1"}}, mirror={})
    spec = builders.spec(stages=[*copies, builders.canary(50), experiment])
    spec["analysis"]["metrics"].append(clicks)
    wish = read_wish(spec)
    assert isinstance(wish, Wish), wish
    judged = {str(step.exposure): step.judged for step in stages.way(wish) if step.phase is Phase.PROGRESSING}
    assert judged == {
        "a copy of 100 %": {"errors"},
        "a copy of 100 % and who asks with x: 1": {"errors"},
        "100 %": None,
        "50 %": None,
        "who asks with x-bucket: one of 10 values": None,
    }


def test_those_who_were_drawn_weigh_as_much_as_any_other_users() -> None:
    wish = read_wish(builders.spec(stages=[builders.canary(25), builders.ab_test(percent=50)]))
    assert isinstance(wish, Wish), wish
    assert [step.reach.share for step in stages.way(wish)] == [0.25, 0.5, 1.0, 1.0]
    assert [stretch.weight for stretch in stretches(wish)][:2] == [0.25, 0.5]


@pytest.mark.parametrize(
    ("kind", "is_fine"),
    [
        ({"mean": {part: f'{part}_total{{pod=~"{{{{ pods }}}}"}}' for part in ("sum", "squares", "count")}}, True),
        ({"histogram": 'seconds_bucket{pod=~"{{ pods }}"}'}, False),
    ],
    ids=["mean", "histogram"],
)
def test_a_goal_is_a_ratio_or_a_mean(kind: dict[str, Any], is_fine: bool) -> None:
    better = {} if "histogram" in kind else {"betterWhen": "higher"}
    spec = builders.spec(stages=[builders.ab_test(goal={"metric": "revenue", "superiority": True})])
    spec["analysis"]["metrics"].append({"name": "revenue", **kind, **better, "tolerance": {"relative": "5%"}})
    wish = read_wish(spec)
    assert isinstance(wish, Wish), wish
    why = stages.fault(wish)
    assert why is None if is_fine else why is not None and "'revenue' is none. A goal is shown by" in why.message


def test_objects_of_a_step_live_as_long_as_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "fraud-comparer"

    def objects(trial: Trial) -> Iterator[Apply]:
        labels = {REVISION_LABEL: trial.candidate.revision}
        yield Apply(OWNER.object(SERVICES, name, labels=labels, spec={"selector": {"app": name}}), "test")

    town = releasing_with(monkeypatch, objects=objects, hold=timedelta(minutes=2))
    town.go(Phase.PROGRESSING, 5)
    assert town.cluster.get(SERVICES, name) is not None
    town.go(Phase.PROGRESSING, 25)
    town.run(seconds=10)
    assert town.cluster.get(SERVICES, name) is None


def test_a_candidate_of_full_size_has_all_pods_however_few_users_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    town = releasing_with(monkeypatch, PLAIN, pods_for=EVERYBODY, exposure=Exposure(weight=20))
    town.run(until=lambda town: town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}") is not None, minutes=2)
    found = town.cluster.get(DEPLOYMENTS, f"fraud-{town.new}")
    assert found is not None
    assert found["spec"]["replicas"] == 4


def _rule(town: Town) -> dict[str, Any]:
    route = town.cluster.get(HTTP_ROUTES, "fraud")
    assert route is not None
    (rule,) = route["spec"]["rules"]
    return rule  # type: ignore[no-any-return]


def test_approval_of_a_step_that_a_raised_first_weight_leaves_out_is_asked_for_at_that_weight() -> None:
    steps = [{"weight": 5, "approval": True}, {"weight": 10}, {"weight": 50}]
    canary = Canary.model_validate({"steps": steps, "firstWeightAtMost": 20})
    begun = [(step.weight, step.approval) for step in beginning_at(canary, 20)]
    assert begun == [(20, True), (50, False)]


def test_approval_of_a_stage_is_asked_for_at_its_last_step_and_that_of_a_switch_before_it() -> None:
    header = {"header": {"name": "x-preview", "value": "1"}}
    row = [
        {**builders.canary(5, 25), "approval": True},
        builders.blue_green("looked-at", preview=header, approval=True),
        builders.blue_green("bare"),
    ]
    wish = read_wish(builders.spec(stages=row))
    assert isinstance(wish, Wish)
    asked = [(step.place.stage, step.place.number) for step in stages.way(wish) if step.needs_approval]
    assert asked == [("canary", 1), ("looked-at", 0)]
