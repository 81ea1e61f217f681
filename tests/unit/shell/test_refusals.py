"""What is remembered of refusals: in which words they are told, since when, and when to try again."""

from __future__ import annotations

from datetime import timedelta

from modelrollout.kube import Failed, LeftAlone, Refused
from modelrollout.objects.manifests import Ref
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES
from modelrollout.shell.refusals import LONGEST_PAUSE, Refusals, in_words

KEY = ("ml", "fraud")
ROUTE, WORKLOAD = Ref(HTTP_ROUTES, "ml", "fraud"), Ref(DEPLOYMENTS, "ml", "fraud-1")


def test_no_is_told_at_once_and_a_failure_when_it_comes_again() -> None:
    refusals = Refusals()
    met = {ROUTE: Refused(422, "no", "x"), WORKLOAD: Failed(500, "broken", "x")}
    refusals.met(KEY, met, ())
    assert set(refusals.told(KEY)) == {ROUTE}
    refusals.met(KEY, met, ())
    assert set(refusals.told(KEY)) == {ROUTE, WORKLOAD}


def test_failure_that_does_not_come_again_in_a_row_is_not_told() -> None:
    refusals = Refusals()
    for met in ({WORKLOAD: Failed(500, "broken", "x")}, {}, {WORKLOAD: Failed(500, "broken", "x")}):
        refusals.met(KEY, met, ())
    assert refusals.told(KEY) == {}


def test_refusal_of_what_was_not_tried_again_stands() -> None:
    refusals = Refusals()
    refusals.met(KEY, {ROUTE: Refused(422, "no", "x"), WORKLOAD: Refused(422, "no", "x")}, ())
    refusals.met(KEY, {}, {ROUTE})
    assert set(refusals.told(KEY)) == {ROUTE}


def test_other_words_are_told_anew_unless_only_their_numbers_differ() -> None:
    refusals = Refusals()
    for words in ("port 40123 closed", "port 40124 closed"):
        refusals.met(KEY, {ROUTE: Refused(422, words, "x")}, ())
        assert refusals.told(KEY) == {ROUTE: in_words(ROUTE, Refused(422, "port 40123 closed", "x"))}
    refusals.met(KEY, {ROUTE: Refused(422, "no host", "x")}, ())
    assert refusals.told(KEY) == {ROUTE: in_words(ROUTE, Refused(422, "no host", "x"))}


def test_pauses_grow_to_a_minute_and_begin_anew_with_another_refusal() -> None:
    refusals, met = Refusals(), {ROUTE: Refused(422, "no", "x")}
    pauses = []
    for _ in range(12):
        refusals.met(KEY, met, ())
        pauses.append(refusals.pause(KEY))
    assert pauses == [timedelta(seconds=min(60, 2**n)) for n in range(12)]
    assert pauses[-1] == LONGEST_PAUSE
    refusals.met(KEY, {**met, WORKLOAD: Refused(422, "no", "x")}, ())
    assert refusals.pause(KEY) == timedelta(seconds=1)
    refusals.met(KEY, {}, ())
    assert refusals.pause(KEY) is None


def test_words_say_which_object_and_fit_into_an_event() -> None:
    message = in_words(WORKLOAD, Failed(500, ".spec.x: field not declared in schema", "x")).message
    assert message == (
        "The API server refuses Deployment 'fraud-1': .spec.x: field not declared in schema (500). "
        "It is made from spec.workload."
    )
    assert len(in_words(WORKLOAD, Failed(500, "x" * 100_000, "x")).message) < 1024


def test_what_is_left_alone_is_not_told_as_the_api_servers_word() -> None:
    told = in_words(ROUTE, LeftAlone("gatewayAPI", "/apis"))
    assert told.message == "HTTPRoute 'fraud' is not written: this operator was started with --without gatewayAPI."
