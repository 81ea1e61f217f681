"""What the operator tells about itself, over HTTP as the kubelet and Prometheus ask for it."""

from __future__ import annotations

import gc

import aiohttp
import pytest
from prometheus_client import generate_latest

from modelrollout.api.status import MetricVerdict, ModelRolloutStatus, Phase, StageStatus, Verdict
from modelrollout.plan.plan import Plan
from modelrollout.rollout.rollout import parse
from modelrollout.shell import metrics
from modelrollout.shell.probes import Probes
from modelrollout.shell.shown_rollouts import MOST_METRICS
from modelrollout.shell.telemetry import OVERDUE, Telemetry
from tests import builders
from tests.fakes.town import NOON, Town, releasing

KEY = ("ml", "fraud")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def telemetry(clock: Clock) -> Telemetry:
    return Telemetry(clock=clock)


def test_a_pass_that_hangs_is_overdue(telemetry: Telemetry, clock: Clock) -> None:
    telemetry.next_pass(KEY, 0)
    clock.now = OVERDUE - 1
    assert telemetry.overdue() == []
    clock.now = OVERDUE + 1
    assert telemetry.overdue() == [KEY]


def test_a_rollout_that_waits_for_something_to_happen_is_never_overdue(telemetry: Telemetry, clock: Clock) -> None:
    telemetry.next_pass(KEY, None)
    clock.now = 1e9
    assert telemetry.overdue() == []


def test_a_forgotten_rollout_leaves_no_metric_behind(telemetry: Telemetry) -> None:
    status = ModelRolloutStatus(phase=Phase.HEALTHY)
    telemetry.saw(parse(builders.rollout(), {}), Plan(status))
    assert b'phase="Healthy",rollout="fraud"' in generate_latest(telemetry.registry)
    telemetry.forget(KEY)
    assert b'rollout="fraud"' not in generate_latest(telemetry.registry)


def test_the_weight_of_a_candidate_that_is_gone_is_zero(telemetry: Telemetry) -> None:
    stage = StageStatus(index=0, name="canary", step=0, weight=25, entered=NOON, since=NOON)
    telemetry.saw(parse(builders.rollout(), {}), Plan(ModelRolloutStatus(phase=Phase.ROLLED_BACK, stage=stage)))
    assert b'candidate_weight_ratio{namespace="ml",rollout="fraud"} 0.0' in generate_latest(telemetry.registry)


def test_the_age_of_a_kind_that_nobody_has_looked_at_is_not_told(telemetry: Telemetry) -> None:
    telemetry.show_ages(lambda: {"pods": 12.0, "services": None})
    told = generate_latest(telemetry.registry).decode()
    assert 'modelrollout_mirror_age_seconds{resource="pods"} 12.0' in told
    assert "services" not in told


async def test_healthz_names_the_rollout_whose_pass_does_not_come(telemetry: Telemetry, clock: Clock) -> None:
    probes = Probes(telemetry, "127.0.0.1", 0)
    port = await probes.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/healthz") as reply:
                assert (reply.status, await reply.text()) == (200, "ok\n")
            telemetry.next_pass(KEY, 0)
            clock.now = OVERDUE + 1
            async with session.get("/healthz") as reply:
                assert reply.status == 503
                assert "ml/fraud" in await reply.text()
            async with session.get("/metrics") as reply:
                assert "modelrollout_pass_failures_total 0.0" in await reply.text()
    finally:
        await probes.stop()


ERRORS = MetricVerdict(
    metric="errors",
    verdict=Verdict.INCONCLUSIVE,
    candidate="0.21%",
    stable="0.2%",
    evidence="34%",
    ruled_out="80%",
    samples=1812,
    stable_samples=34000,
    message="errors: too early to tell.",
)


def sample(telemetry: Telemetry, of: metrics.Described, /, **labels: str) -> float | None:
    return telemetry.registry.get_sample_value(of.name, {"namespace": "ml", "rollout": "fraud", **labels})


def status_of(verdict: MetricVerdict, **fields: object) -> ModelRolloutStatus:
    return ModelRolloutStatus.model_validate({"phase": Phase.PROGRESSING, "verdicts": (verdict,), **fields})


def test_both_arms_and_the_evidence_of_a_metric_are_numbers(telemetry: Telemetry) -> None:
    telemetry.saw(parse(builders.rollout(), {}), Plan(status_of(ERRORS)))
    arms = [sample(telemetry, metrics.VALUE, metric="errors", arm=arm) for arm in ("candidate", "stable")]
    assert arms == pytest.approx([0.0021, 0.002])
    assert sample(telemetry, metrics.SAMPLES, metric="errors", arm="stable") == 34000
    assert sample(telemetry, metrics.EVIDENCE, metric="errors") == pytest.approx(0.34)
    assert sample(telemetry, metrics.RULED_OUT, metric="errors") == pytest.approx(0.8)


def test_a_value_that_is_none_is_left_out(telemetry: Telemetry) -> None:
    silent = MetricVerdict(metric="errors", verdict=Verdict.NO_DATA, candidate="nothing", message="errors: no data.")
    telemetry.saw(parse(builders.rollout(), {}), Plan(status_of(silent)))
    assert sample(telemetry, metrics.VALUE, metric="errors", arm="candidate") is None
    assert sample(telemetry, metrics.VERDICT, metric="errors", verdict="NoData") == 1


def test_values_are_those_of_the_last_look_which_the_status_has_a_minute_later(telemetry: Telemetry) -> None:
    rollout, fresh = parse(builders.rollout(), {}), ERRORS.model_copy(update={"samples": 2000})
    telemetry.saw(rollout, Plan(status_of(ERRORS), verdicts=(fresh,)))
    telemetry.saw(rollout, Plan(status_of(ERRORS)))  # a pass that asked nothing
    assert sample(telemetry, metrics.SAMPLES, metric="errors", arm="candidate") == 2000
    telemetry.saw(rollout, Plan(ModelRolloutStatus(phase=Phase.PENDING)))  # another release
    assert sample(telemetry, metrics.SAMPLES, metric="errors", arm="candidate") is None


def test_of_too_many_rollouts_those_in_release_are_shown_and_the_others_are_counted() -> None:
    telemetry = Telemetry(most=1)
    candidate = {"revision": "new", "model": {"name": "m", "version": "2"}, "workload": "w", "since": NOON}
    for name, fields in (("idle", {}), ("busy", {"candidate": candidate}), ("quiet", {})):
        manifest = builders.rollout()
        manifest["metadata"]["name"] = name
        telemetry.saw(parse(manifest, {}), Plan(status_of(ERRORS, **fields)))
    page = telemetry.page().decode()
    assert 'rollout="busy"' in page
    assert not any(f'rollout="{name}"' in page for name in ("idle", "quiet"))
    assert 'modelrollout_series_not_shown{of="rollouts"} 2.0' in page
    assert 'modelrollout_rollouts{phase="Progressing"} 3.0' in page


def test_of_too_many_metrics_the_rest_is_counted(telemetry: Telemetry) -> None:
    many = tuple(ERRORS.model_copy(update={"metric": f"m{number}"}) for number in range(MOST_METRICS + 3))
    telemetry.saw(parse(builders.rollout(), {}), Plan(ModelRolloutStatus(phase=Phase.HEALTHY, verdicts=many)))
    page = telemetry.page().decode()
    assert page.count("modelrollout_verdict{") == MOST_METRICS
    assert 'modelrollout_series_not_shown{of="metrics"} 3.0' in page


def test_samples_are_made_as_they_are_written_so_that_no_scrape_sets_off_a_search_for_garbage(
    telemetry: Telemetry,
) -> None:
    verdicts = tuple(ERRORS.model_copy(update={"metric": f"m{number}"}) for number in range(6))
    for number in range(100):
        manifest = builders.rollout()
        manifest["metadata"]["name"] = f"fraud-{number}"
        telemetry.saw(parse(manifest, {}), Plan(status_of(ERRORS), verdicts=verdicts))
    gc.disable()
    try:
        before = gc.get_count()[0]
        kept = [gc.get_count()[0] - before for family in telemetry.registry.collect() for _ in family.samples]
    finally:
        gc.enable()
    assert len(kept) > 4000
    assert max(kept) < 500


def test_a_pass_that_begins_late_counts_and_one_that_is_woken_earlier_does_not(
    telemetry: Telemetry, clock: Clock
) -> None:
    for due, begun in ((10.0, 12.0), (10.0, 3.0)):
        telemetry.next_pass(KEY, due)
        clock.now += begun
        with telemetry.a_pass(KEY):
            clock.now += 5  # is not late, but long
    counted = [telemetry.registry.get_sample_value(f"{metrics.PASS_LAG.name}_{name}") for name in ("count", "sum")]
    assert counted == [1, 2.0]


def rolling_back() -> Town:
    town = releasing()
    town.go(Phase.PROGRESSING, 25)
    town.cluster.crash(f"fraud-{town.new}", 9)
    return town


def times(town: Town, metric: metrics.Described) -> tuple[float, float]:
    """How many were counted, and their sum."""
    found = {"_count": 0.0, "_sum": 0.0}
    for family in town.telemetry.registry.collect():
        for one in family.samples:
            if one.name.startswith(metric.name) and (part := one.name.removeprefix(metric.name)) in found:
                found[part] += one.value
    return found["_count"], found["_sum"]


def test_detection_and_restoration_are_counted_once_over_a_restart_in_between() -> None:
    town, counted = rolling_back(), [0.0, 0.0]
    town.go(Phase.ROLLING_BACK, minutes=1)
    for _ in range(3):
        counted = [before + times(town, one)[0] for before, one in zip(counted, TIMES, strict=True)]
        town.restart()
        town.run(minutes=1)
    assert town.phase is Phase.ROLLED_BACK
    counted = [before + times(town, one)[0] for before, one in zip(counted, TIMES, strict=True)]
    assert counted == [1, 1]


TIMES = (metrics.DETECTION, metrics.RESTORATION)


def test_everything_that_is_exposed_is_in_the_table_with_its_labels_and_nothing_else_is() -> None:
    town = rolling_back()
    town.go(Phase.ROLLED_BACK)
    known: dict[str, frozenset[str]] = {}
    for one in metrics.ALL:
        known |= one.series
    shown = [one for family in town.telemetry.registry.collect() for one in family.samples]
    labels = {one.name: frozenset(one.labels) for one in shown}
    assert labels.items() <= known.items()
    assert [name for name in known if not name.startswith("modelrollout_")] == []
