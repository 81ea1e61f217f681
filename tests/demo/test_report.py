"""What a chronicle amounts to: outcomes, harm, and how long it took."""

from __future__ import annotations

import json
from dataclasses import replace

from demo.chronicle import Chronicle, Split, StatusChange
from demo.report import report, row
from demo.story import STORY, Release, Tour, complaints
from localcluster.load import Failure
from modelrollout.api.status import Phase
from tests.demo.demo_chronicles import FACTS, at, begun, ended, experiment, status, taken_back, user, with_users

KEYS = [
    "name",
    "outcome",
    "maxWeight",
    "usersHarmed",
    "requestsFailedBySwitch",
    "secondsToDetect",
    "secondsToRestore",
]
TAKEN_BACK = Release("v3", "is bad", "RolledBack")


def rowed(chronicle: Chronicle) -> dict[str, object]:
    return row(chronicle, chronicle.releases[0])


def test_a_release_is_told_in_exactly_the_promised_keys() -> None:
    assert list(rowed(taken_back())) == KEYS


def test_a_release_that_was_taken_back() -> None:
    assert rowed(taken_back()) == {
        "name": "v3",
        "outcome": "RolledBack",
        "maxWeight": 5,
        "usersHarmed": 2,
        "requestsFailedBySwitch": 0,
        "secondsToDetect": 1.99,  # from the answer at 5.01 to the route at 7
        "secondsToRestore": 2.2,  # to the last answer of v3, at 7.21
    }


def test_detection_ends_with_the_phase_where_the_route_was_not_seen_to_change() -> None:
    chronicle = replace(taken_back(), splits=taken_back().splits[:2])
    assert rowed(chronicle)["secondsToDetect"] == 2.09


def test_restoring_never_ends_before_the_decision() -> None:
    early = tuple(one for one in taken_back().outcomes if one.version != "v3" or one.at < at(6.5))
    told = rowed(replace(taken_back(), outcomes=early))
    assert told["secondsToRestore"] == told["secondsToDetect"] == 1.99


def test_nothing_was_detected_where_nobody_was_harmed() -> None:
    fine = tuple(one for one in taken_back().outcomes if not one.harmed)
    told = rowed(replace(taken_back(), outcomes=fine))
    assert (told["usersHarmed"], told["secondsToDetect"], told["secondsToRestore"]) == (0, None, None)


def test_requests_that_no_server_answered_count_against_the_switch_and_harm_users() -> None:
    lost = [user(6, None, harmed=True, failure=why) for why in (Failure.PROXY, Failure.CONNECT, Failure.RESET)]
    told = rowed(with_users(taken_back(), *lost))
    assert (told["requestsFailedBySwitch"], told["usersHarmed"]) == (3, 5)


def test_the_first_requests_that_no_server_answered_are_told_one_by_one() -> None:
    chronicle = with_users(taken_back(), *[user(6, None, harmed=True, failure=Failure.PROXY)] * 30)
    failures = json.loads(json.dumps(report(chronicle)))["requests"]["failures"]
    assert failures == [{"second": 14.0, "why": "proxy", "status": 500, "latency": 0.01, "said": ""}] * 20


def test_users_of_another_time_belong_to_another_release() -> None:
    chronicle = with_users(taken_back(), user(31, "v4", harmed=True))
    chronicle = replace(chronicle, releases=(*chronicle.releases, begun(30, "v4")))
    assert [one["usersHarmed"] for one in report(chronicle)["releases"]] == [2, 1]


def test_a_weight_of_another_time_belongs_to_another_release() -> None:
    late = Split(at(40), {"digits-v3": 50, "digits-v2": 50})
    chronicle = replace(taken_back(), releases=(begun(0, "v3"), begun(30, "v4")), splits=(*taken_back().splits, late))
    assert rowed(chronicle)["maxWeight"] == 5


def test_a_release_that_has_not_ended_has_no_outcome() -> None:
    chronicle = replace(taken_back(), turns=taken_back().turns[:2])
    assert rowed(chronicle)["outcome"] is None


def test_a_promoted_release_has_no_times_even_if_it_harmed_somebody() -> None:
    healthy = StatusChange(at(20), status(Phase.HEALTHY, stable="v2", history=(ended("v2", "Promoted"),)))
    chronicle = Chronicle(FACTS, (begun(0, "v2"),), (healthy,), outcomes=(user(3, "v2", harmed=True),))
    assert rowed(chronicle) == dict(zip(KEYS, ["v2", "Promoted", 0, 1, 0, None, None], strict=True))


def test_the_report_says_what_else_is_useful_and_is_json() -> None:
    document = json.loads(json.dumps(report(taken_back(), Tour("One bad release", (TAKEN_BACK,))), allow_nan=False))
    assert document["asTold"] is True
    assert document["complaints"] == []
    assert document["apiServer"] == {"kind": "built-in", "version": "v1.33.0"}
    assert document["requests"] == {
        "perSecond": 100.0,
        "perSecondSent": 1.0,
        "total": 7,
        "errors": 1,
        "wrong": 1,
        "harmed": 2,
        "failedBySwitch": 0,
        "failures": [],
    }
    assert (document["seconds"], document["secondsToPrepare"]) == (68.0, 8.0)
    details = document["details"][0]
    assert (details["requestsAnsweredByIt"], details["usersHarmedByIt"], details["seconds"]) == (4, 2, 8.0)


def test_an_answer_that_stable_would_have_got_wrong_helped_its_user() -> None:
    chronicle = with_users(taken_back(), user(6.1, "v3", helped=True))
    assert report(chronicle)["details"][0]["usersHelpedByIt"] == 1


def test_people_who_met_a_version_in_an_experiment_are_counted_and_those_who_met_another_one_after_it() -> None:
    (stayed,) = report(experiment())["details"]
    assert (stayed["peopleWhoMetIt"], stayed["peopleWhoWentBack"]) == (1, 0)
    (left,) = report(with_users(experiment(), user(8, "v1", who="anne")))["details"]
    assert (left["peopleWhoMetIt"], left["peopleWhoWentBack"]) == (1, 1)


def test_who_goes_back_once_it_was_decided_went_back_by_the_decision() -> None:
    tried = experiment().turns[0]
    back = StatusChange(at(9), status(Phase.ROLLING_BACK, stable="v1", candidate="v2", weight=0))
    chronicle = with_users(replace(experiment(), turns=(tried, back)), user(10, "v1", who="anne"))
    assert report(chronicle)["details"][0]["peopleWhoWentBack"] == 0


def test_where_nobody_was_drawn_no_people_are_counted() -> None:
    assert "peopleWhoMetIt" not in report(taken_back())["details"][0]


def test_a_promoted_release_says_what_each_metric_showed() -> None:
    assert report(experiment())["details"][0]["verdicts"] == ["kept: 80% (stable 55%), which is better."]
    assert report(taken_back())["details"][0]["verdicts"] == []


def test_a_story_that_was_broken_off_is_not_as_told() -> None:
    document = report(taken_back(), Tour("One bad release", (TAKEN_BACK,)), interrupted="v3 took too long.")
    assert (document["asTold"], document["complaints"]) == (False, ["v3 took too long."])


def test_an_empty_chronicle_is_a_report_of_nothing() -> None:
    document = report(Chronicle(FACTS))
    assert document["releases"] == []
    assert document["complaints"] == [f"{release.name} was never released." for release in STORY]


def test_a_story_that_went_as_told_is_no_reason_to_complain() -> None:
    rows = [{"name": one.name, "outcome": one.ending, "requestsFailedBySwitch": 0} for one in STORY]
    assert complaints(rows) == ()


def test_every_difference_from_the_story_is_a_sentence() -> None:
    rows = [
        {"name": "v1", "outcome": "Installed", "requestsFailedBySwitch": 2},
        {"name": "v2", "outcome": "RolledBack", "requestsFailedBySwitch": 0},
        {"name": "v3", "outcome": None, "requestsFailedBySwitch": 0},
    ]
    assert complaints(rows) == (
        "2 requests failed during v1 because traffic moved.",
        "v2 should be promoted, but it was taken back.",
        "v3 should be taken back, but it was still on its way at the end.",
        "v4 was never released.",
    )
