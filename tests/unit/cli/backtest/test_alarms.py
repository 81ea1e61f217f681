"""Stable against stable: how often equal candidates would have been taken back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from modelrollout.cli.backtest.alarms import poisson
from tests.fakes.past import NOON, Past, Pod, always, from_then_on
from tests.unit.cli.backtest.policies import ACCURACY, ERRORS, LATENCY, found, policy, replayed

END = NOON + timedelta(hours=1)
WHEN = ("--start", NOON.isoformat(), "--end", END.isoformat())


def pods(number: int = 4, rps: float = 30.0) -> list[Pod]:
    return [Pod(f"fraud-v1-{n}", rps=rps) for n in range(number)]


def past(*some: Pod) -> Past:
    return Past(some or pods(), NOON - timedelta(hours=2), END)


def test_equal_pods_raise_no_alarm_and_every_pod_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = policy(ERRORS, LATENCY, ACCURACY)
    assert replayed(tmp_path, document, past(), END, [*WHEN, "-o", "json"]) == 0
    outcome = found(capsys)
    assert outcome["rollouts"] == 5 * 4  # of twelve minutes each
    assert outcome["falseAlarms"] == 0
    assert outcome["pods"] == [f"fraud-v1-{n}" for n in range(4)]
    assert outcome["falseAlarmsPerWeek"]["counted"] == 0
    assert outcome["falseAlarmsPerWeek"]["high"] > 0
    assert outcome["wentThrough"] + sum(one["rollouts"] for one in outcome["stillWaiting"]) == 20
    assert outcome["noise"]["errors"]["Plain"] == 4


def test_a_pod_that_is_worse_is_an_alarm_whenever_it_plays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worse = Pod("fraud-v1-9", rps=30.0, errors=always(0.06))
    assert replayed(tmp_path, policy(), past(*pods(3), worse), END, [*WHEN, "-o", "json"]) == 0
    outcome = found(capsys)
    assert outcome["falseAlarms"] == 5
    assert {alarm["pod"] for alarm in outcome["alarms"]} == {"fraud-v1-9"}
    assert outcome["falseAlarmsPerWeek"]["low"] > 1


def test_alarms_are_told_with_pod_metric_and_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    late = from_then_on(0.01, 0.08, NOON + timedelta(minutes=20))
    worse = Pod("fraud-v1-9", rps=30.0, errors=late)
    assert replayed(tmp_path, policy(), past(*pods(3), worse), END, [*WHEN, "--html", str(tmp_path / "p.html")]) == 0
    told = capsys.readouterr().out
    assert "fraud-v1-9  errors" in told
    assert "That is more than was promised" in told
    page = (tmp_path / "p.html").read_text()
    assert "fraud-v1-9" in page
    assert "<script" not in page


def test_pods_that_say_another_namespace_do_not_play(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    anywhere = {part: text.replace('namespace="{{ namespace }}",', "") for part, text in ERRORS["ratio"].items()}
    theirs = Pod("fraud-v1-9", rps=30.0, errors=always(0.06), labels={"namespace": "staging"})
    assert (
        replayed(tmp_path, policy({**ERRORS, "ratio": anywhere}), past(*pods(3), theirs), END, [*WHEN, "-o", "json"])
        == 0
    )
    outcome = found(capsys)
    assert (outcome["pods"], outcome["falseAlarms"]) == ([pod.name for pod in pods(3)], 0)


def test_a_few_pods_may_stand_for_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(tmp_path, policy(), past(*pods(6)), END, [*WHEN, "-o", "json", "--pods", "2"]) == 0
    outcome = found(capsys)
    assert outcome["rollouts"] == 5 * 2


def test_what_is_not_compared_by_pod_is_refused_with_the_metric(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metric = {**ERRORS, "ratio": {part: f'{part}{{service="{{{{ service }}}}"}}' for part in ("bad", "total")}}
    assert replayed(tmp_path, policy(metric), past(), END, [*WHEN, "--stable-name", "service=x"]) == 2
    told = capsys.readouterr().err
    assert "spec.analysis.metrics[errors] has no selector with {{ pods }}" in told
    assert "or leave it out with --without errors." in told


def test_metrics_can_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = policy(ERRORS, ACCURACY)
    assert replayed(tmp_path, document, past(), END, [*WHEN, "-o", "json", "--without", "errors"]) == 0
    assert list(found(capsys)["noise"]) == ["accuracy"]
    assert replayed(tmp_path, document, past(), END, [*WHEN, "--without", "latency"]) == 2
    assert "--without is 'latency', which is no metric of fraud; it has: errors, accuracy." in capsys.readouterr().err


def test_one_pod_alone_is_compared_with_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(tmp_path, policy(), past(*pods(1)), END, WHEN) == 2
    assert "there are never 2 pods of stable at a time" in capsys.readouterr().err


def test_a_time_shorter_than_the_plan_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed(tmp_path, policy(), past(), END, ["--start", "-10m"]) == 2
    assert "--start to --end is 10 min, and the plan takes 12 min" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "low", "high"), [(0, 0.0, 3.689), (1, 0.0253, 5.572), (10, 4.795, 18.390)])
def test_the_interval_is_the_exact_one_of_the_poisson_distribution(count: int, low: float, high: float) -> None:
    """Table 7 of Pearson & Hartley's Biometrika tables."""
    assert poisson(count) == pytest.approx((low, high), abs=5e-4)
