"""A candidate of the past against stable: good, bad, bad later, and whatever else may be asked of it."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from modelrollout.__main__ import main
from tests.fakes.past import NOON, Past, Pod, always, from_then_on, minutes
from tests.fakes.prometheus import fake_prometheus
from tests.unit.cli.backtest.policies import ACCURACY, ERRORS, LATENCY, found, parsed, policy, replayed

END = NOON + minutes(40)
STABLE = [Pod(f"fraud-v1-{n}", labels={"version": "v1"}) for n in range(3)]
ARMS = ("--stable-pods", "fraud-v1-.+", "--candidate-pods", "fraud-v2-.+")
WHEN = ("--start", NOON.isoformat(), "--end", END.isoformat())


def past(**candidate: Any) -> Past:
    pods = [*STABLE, *(Pod(f"fraud-v2-{n}", labels={"version": "v2"}, **candidate) for n in range(2))]
    return Past(pods, NOON - timedelta(hours=1), END)


def test_a_good_candidate_would_have_been_promoted_when_the_plan_is_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = policy(ERRORS, LATENCY, ACCURACY)
    assert replayed(tmp_path, document, past(), END, [*WHEN, *ARMS, "--output", "json"]) == 0
    outcome = found(capsys)
    assert outcome["outcome"] == "Promoted"
    assert 720 <= outcome["secondsAfterStart"] <= 1200
    assert [step["weight"] for step in outcome["steps"]] == [5, 25, 50, 100, 100]
    assert all(metric["firstPass"] and not metric["firstFail"] for metric in outcome["metrics"])


def test_a_bad_candidate_would_have_been_taken_back_in_its_first_step(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = policy(ERRORS, LATENCY, ACCURACY)
    assert replayed(tmp_path, document, past(errors=always(0.05)), END, [*WHEN, *ARMS, "-o", "json"]) == 0
    outcome = found(capsys)
    assert (outcome["outcome"], outcome["weight"]) == ("TakenBack", 5)
    assert outcome["secondsAfterStart"] <= 120
    assert "errors: 5" in outcome["why"]
    failed = {metric["name"] for metric in outcome["metrics"] if metric["firstFail"]}
    assert failed == {"errors"}


@pytest.mark.parametrize(
    ("metric", "worse"),
    [
        (ERRORS, {"errors": from_then_on(0.01, 0.06, NOON + minutes(4))}),
        (LATENCY, {"latency": from_then_on(0.06, 0.15, NOON + minutes(4))}),
        (ACCURACY, {"accuracy": from_then_on(0.9, 0.7, NOON + minutes(4))}),
    ],
)
def test_what_becomes_worse_later_is_found_after_its_onset(
    metric: dict[str, Any], worse: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    onset = ("--onset", (NOON + minutes(4)).isoformat())
    held = policy(metric, stages=[{"name": "canary", "canary": {"weights": [50, 100], "hold": "10m"}}])
    held["spec"]["analysis"]["noise"] = "independent"  # an hour of three pods is too little to tell
    assert replayed(tmp_path, held, past(**worse), END, [*WHEN, *ARMS, *onset, "-o", "json"]) == 0
    outcome = found(capsys)
    assert outcome["outcome"] == "TakenBack"
    assert 0 < outcome["secondsAfterOnset"] <= 240
    assert outcome["summary"].endswith("after the onset.")


def test_an_onset_after_the_last_comparison_is_said_to_be_out_of_sight_and_hold_sees_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    late = past(errors=from_then_on(0.01, 0.06, NOON + minutes(30)))
    arguments = [*WHEN, *ARMS, "--onset", (NOON + minutes(30)).isoformat()]
    assert replayed(tmp_path, policy(), late, END, arguments) == 0
    told = capsys.readouterr().out
    assert "would have been promoted" in told
    assert "where only min and max count; with --hold it stays" in told
    assert replayed(tmp_path, policy(), late, END, [*arguments, "--hold"]) == 0
    assert re.search(
        r"would have been taken back at .*, from 50 %: \d+ (s|min \d+ s|min) after the onset", capsys.readouterr().out
    )


def test_one_label_may_tell_the_versions_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*WHEN, "--candidate-selector", 'version="v2"', "--output", "json"]
    asked = past(errors=always(0.05))
    assert replayed(tmp_path, policy(ERRORS, ACCURACY), asked, END, arguments) == 0
    assert found(capsys)["outcome"] == "TakenBack"
    texts = {query.promql for query in asked.asked if query.metric == "accuracy"}
    assert 'avg(accuracy{version="v2",namespace="ml",pod=~".+"})' in texts
    assert 'avg(accuracy{version!="v2",namespace="ml",pod=~".+"})' in texts


def test_a_long_time_is_looked_at_seldom_and_decided_at_the_same_moment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    held = policy(ERRORS, stages=[{"name": "canary", "canary": {"weights": [50, 100], "hold": "10m"}}])
    outcomes = []
    for most in (2_500, 20):
        monkeypatch.setattr("modelrollout.cli.backtest.comparison.MOST_LOOKS", most)
        worse = past(errors=from_then_on(0.01, 0.03, NOON + minutes(4)))
        assert replayed(tmp_path, held, worse, END, [*WHEN, *ARMS, "-o", "json"]) == 0
        outcomes.append(found(capsys))
    often, seldom = outcomes
    assert seldom["looks"] < often["looks"]
    assert (seldom["at"], seldom["outcome"]) == (often["at"], "TakenBack")


def test_silence_of_the_candidate_is_no_data_and_moves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Past([*STABLE, Pod("fraud-v2-0", rps=0.0)], NOON - timedelta(hours=1), END)
    assert replayed(tmp_path, policy(), gone, END, [*WHEN, *ARMS, "-o", "json"]) == 0
    outcome = found(capsys)
    assert (outcome["outcome"], outcome["weight"]) == ("Undecided", 5)
    assert outcome["metrics"][0]["last"]["verdict"] == "Inconclusive"


def test_arms_that_overlap_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [*WHEN, "--stable-pods", "fraud-.+", "--candidate-pods", "fraud-v2-.+"]
    assert replayed(tmp_path, policy(), past(), END, arguments) == 2
    assert "candidate and stable overlap: metric errors has series of both (pod=fraud-v2-0)" in capsys.readouterr().err


def test_an_arm_of_which_there_is_nothing_is_a_mistake_and_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [*WHEN, "--stable-pods", "fraud-v1-.+", "--candidate-pods", "fraud-v3-.+"]
    assert replayed(tmp_path, policy(), past(), END, arguments) == 2
    assert "no metric has any sample of candidate" in capsys.readouterr().err


def test_a_prometheus_that_is_away_is_its_own_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("modelrollout.cli.backtest.fetch.PAUSES", (0.001,))
    away = past()
    away.is_away = True
    assert replayed(tmp_path, policy(), away, END, [*WHEN, *ARMS]) == 1
    assert capsys.readouterr().err == (
        "modelrollout backtest: Prometheus at http://past did not answer within 60 s. It was asked 2 times.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--start", "soon"), "--start is 'soon'"),
        (("--start", "now"), "--start has to be before --end"),
        (("--start", "-1h", "--end", "2027-01-01"), "--end is 304 d 12 h in the future"),
        (("--start", "-1h", "--onset", "-2h"), "--onset has to lie between"),
        (("--start", "-1h", "--onset", "-30m"), "--onset speaks of a candidate"),
        (("--start", "-1h", "--hold"), "--hold speaks of a candidate"),
        (("--start", "-1h", "--candidate-pods", "x"), "say who was stable"),
        (("--start", "-1h", "--candidate-selector", 'a="1",b="2"'), "say who was stable"),
        (("--start", "-1h", "--stable-name", "pods=x"), "--stable-name is 'pods=x'; write NAME=VALUE"),
        (("--start", "-1h", "--pods", "0"), "--pods is 0"),
        (("--start", "-1h", "--html", "/nowhere/x.html"), "no folder to write this file in"),
        (("--start", "-1h"), "--prometheus is missing"),
        (("--start", "-1h", "--prometheus", "ftp://x"), "it has to look like http://prometheus:9090"),
    ],
)
def test_wrong_use_is_told_in_a_sentence_that_names_the_flag(
    arguments: tuple[str, ...], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed(tmp_path, policy(), None, NOON, arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("modelrollout backtest: ")
    assert why in told
    assert told.count("\n") == 1


def test_moments_in_the_past_are_no_flags() -> None:
    assert parsed("-f", "x", "--start", "-7d", "--end", "-1h").start == "-7d"


async def test_the_whole_command_works_over_http(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import yaml

    path, page = tmp_path / "rollout.yaml", tmp_path / "page.html"
    path.write_text(yaml.safe_dump(policy(ERRORS, LATENCY)))
    async with fake_prometheus() as prometheus:
        worse = past(errors=from_then_on(0.01, 0.06, NOON + minutes(3)))
        worse.pour_into(prometheus)
        arguments = ["backtest", "-f", str(path), "--prometheus", prometheus.url, *WHEN, *ARMS, "--html", str(page)]
        assert await asyncio.to_thread(main, arguments) == 0
    told = capsys.readouterr()
    assert "would have been taken back" in told.out
    assert "Traceback" not in told.err
    html = page.read_text()
    assert "would have been taken back" in html
    assert "<script" not in html
    assert not re.search(r"(src|href)=|@import|url\(", html)
