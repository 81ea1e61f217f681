"""What reaches the tests of a metric: the series of an arm's own pods, each process once; others are told of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from modelrollout.analysis.queries import history_queries
from modelrollout.analysis.sensitivity.preflight import prior_of, summarise_history
from modelrollout.api.status import MetricVerdict, UsualMetric, Verdict
from modelrollout.promql.query import Answered, Series
from tests.unit.analysis.looking import (
    ERRORS,
    LATENCY,
    NOON,
    STABLE,
    START,
    Walk,
    always,
    analysis,
    course,
    grown,
)

STRICT = {**ERRORS, "tolerance": {}, "exclude": {"relative": "100%"}}
NEW, OLD = "fraud-b41c-a-b", "fraud-7d9f-a-b"
OWN = {
    **ERRORS,
    "ratio": {
        "bad": 'http_requests_total{namespace="{{ namespace }}",pod=~"{{ pods }}",code=~"5.."}',
        "total": 'http_requests_total{namespace="{{ namespace }}",pod=~"{{ pods }}"}',
    },
}


def looked(metric: dict[str, Any], series: Sequence[Series], end: float = 150.0) -> MetricVerdict:
    wished = analysis(metric)
    return Walk(wished, always(*series), course(wished)).look(end).verdicts[0]


def requests(pod: str, bad: float, total: float, **labels: str) -> list[Series]:
    counts = {"500": bad, "200": total - bad}
    return [grown(n, __name__="http_requests_total", pod=pod, code=code, **labels) for code, n in counts.items()]


def under(series: Sequence[Series], **labels: str) -> list[Series]:
    return [Series({**one.labels, **labels}, one.samples) for one in series]


class TestNamespaces:
    """One manifest in two namespaces: the pods have the same names."""

    ours = (*requests(NEW, 0, 3000, namespace="ml"), *requests(OLD, 30, 57000, namespace="ml"))
    theirs = tuple(requests(NEW, 600, 600, namespace="staging"))

    def test_errors_of_pods_of_the_same_name_elsewhere_are_not_the_candidates(self) -> None:
        told = looked(ERRORS, [*self.ours, *self.theirs])
        alone = looked(ERRORS, self.ours)
        assert told.verdict is alone.verdict is Verdict.PASS
        note = (
            "2 series are not counted, of pods named like those of the candidate in namespace staging: "
            'add namespace="{{ namespace }}" to its selectors'
        )
        assert told == replace_message(alone, f"{alone.message.removesuffix('.')}; {note}.")

    def test_who_has_no_series_of_its_own_has_no_data(self) -> None:
        told = looked(ERRORS, self.theirs)
        assert told.verdict is Verdict.NO_DATA
        assert "total has no samples of the candidate; 2 series are not counted" in told.message

    def test_a_selector_of_a_label_that_no_scrape_sets_is_told_with_its_name(self) -> None:
        unlabelled = under([*requests(NEW, 0, 3000), *requests(OLD, 30, 57000)])
        told = looked(OWN, unlabelled)
        assert (told.verdict, told.message) == (
            Verdict.NO_DATA,
            "errors: total has no samples of the candidate; if Prometheus has no label namespace on them, leave it out "
            "of the selector or set it in the scrape.",
        )

    def test_a_label_that_stables_series_have_is_not_to_blame(self) -> None:
        told = looked(OWN, requests(OLD, 30, 57000, namespace="ml"))
        assert told.message == "errors: total has no samples of the candidate."

    def test_the_history_of_other_namespaces_is_left_out_and_told(self) -> None:
        told = remembered(ERRORS, [*under(past(0.001), namespace="ml"), *under(past(0.5), namespace="staging")])
        alone = remembered(ERRORS, past(0.001))
        assert prior_of(told) == prior_of(alone)
        assert told.note is not None
        assert told.note.startswith("2 series are not counted, of pods named like those of stable in namespace staging")


class TestProcesses:
    """One process under several label sets."""

    once = (*requests(NEW, 30, 3000), *requests(OLD, 570, 57000))

    def test_equal_candidates_that_are_scraped_twice_are_taken_back_as_rarely_as_declared(self) -> None:
        assert sum(is_taken_back(2, seed) for seed in range(60)) <= 1

    def test_a_pod_that_is_scraped_twice_counts_once_and_that_is_told(self) -> None:
        twice = [*under(self.once, service="a"), *under(self.once, service="b")]
        told, alone = looked(ERRORS, twice), looked(ERRORS, self.once)
        assert (told.samples, told.stable_samples, told.evidence) == (
            alone.samples,
            alone.stable_samples,
            alone.evidence,
        )
        for who in ("the candidate", "stable"):
            assert f'1 pod of {who} is scraped more than once (service "a" and "b") and counted once' in told.message

    def test_a_histogram_that_is_scraped_twice_counts_once(self) -> None:
        once = [
            grown(n, __name__="http_request_duration_seconds_bucket", pod=pod, le=edge)
            for pod, many in ((NEW, 1), (OLD, 9))
            for edge, n in (("0.1", 900 * many), ("1", 990 * many), ("+Inf", 1000 * many))
        ]
        twice = [*under(once, job="a", instance="10.0.0.7:80"), *under(once, job="b", instance="10.0.0.7:80")]
        assert looked(LATENCY, twice).samples == looked(LATENCY, once).samples == 1000

    def test_counts_that_cannot_both_be_true_hold_the_step(self) -> None:
        one = under(self.once, job="a", instance="10.0.0.7:80")
        other = under(requests(NEW, 10, 2000), job="b", instance="10.0.0.7:80")
        told = looked(ERRORS, [*one, *other])
        assert (told.verdict, told.message) == (
            Verdict.NO_DATA,
            f'errors: pod {NEW} is scraped more than once (job "a" and "b"), and the counts do not agree: drop one of '
            "the scrapes, or choose one in the selector.",
        )

    def test_a_second_scrape_that_begins_in_mid_rollout_adds_nothing(self) -> None:
        """By the rules for series, one that appears later than its target grew from 0."""
        late = [
            Series({**s.labels, "service": "front"}, tuple(p for p in s.samples if p[0] > START + 140))
            for s in self.once
        ]
        both = [*under(self.once, service="z"), *late]
        assert looked(ERRORS, both).samples == looked(ERRORS, self.once).samples

    def test_the_noise_of_a_pod_that_is_scraped_twice_is_that_of_one(self) -> None:
        told = remembered(ERRORS, [*under(past(0.01), job="a"), *under(past(0.01), job="b")])
        assert prior_of(told) == prior_of(remembered(ERRORS, past(0.01)))
        assert told.note == '1 pod of stable is scraped more than once (job "a" and "b") and counted once'


def replace_message(verdict: MetricVerdict, message: str) -> MetricVerdict:
    return verdict.model_copy(update={"message": message})


def past(share: float) -> list[Series]:
    minutes = np.arange(-360, 1) * 60.0
    counts = {"500": share, "200": 1 - share}
    return [
        Series(
            {"__name__": "http_requests_total", "pod": OLD, "code": code},
            tuple((START + at, 1e6 + 50 * part * at) for at in minutes.tolist()),
        )
        for code, part in counts.items()
    ]


def remembered(metric: dict[str, Any], series: Sequence[Series]) -> UsualMetric:
    wished = analysis(metric)
    asked = history_queries(wished, STABLE, (), NOON, wished.interval.timedelta)
    return summarise_history(wished, asked, {query: Answered(tuple(series)) for query in asked}, {}, [], 15.0)[0]


def is_taken_back(copies: int, seed: int) -> bool:
    """Whether a candidate that is as good as stable fails within ten minutes. Scrapes are two seconds apart."""
    random, moments = np.random.default_rng(seed), np.arange(-160, 601, 1.0)
    series = []
    for pod, rate in ((NEW, 20.0), (OLD, 180.0)):
        total = random.poisson(rate, moments.size)
        bad = random.binomial(total, 0.02)
        for code, counts in (("500", bad), ("200", total - bad)):
            values = 1e4 + counts.cumsum()
            for copy in range(copies):
                labels = {"__name__": "http_requests_total", "pod": pod, "code": code, "service": f"svc{copy}"}
                samples = list(zip((START + moments).tolist(), values.tolist(), strict=True))
                series.append(Series(labels, tuple(samples[15 + 2 * copy :: 5])))
    walk = Walk(analysis(STRICT), always(*series), course(analysis(STRICT)))
    return any(walk.look(75.0 * look).verdicts[0].verdict is Verdict.FAIL for look in range(1, 9))
