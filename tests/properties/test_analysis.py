"""What holds for every answer that Prometheus may give, however odd."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.samples.counters import SampleWindow, clean, scrapes_of, total_growth
from modelrollout.api.placeholders import UnknownName, render_text
from modelrollout.api.status import Verdict
from modelrollout.promql.query import Answer, Answered, Series, Unanswered
from modelrollout.promql.strings import as_regex, in_quotes
from modelrollout.sequential.noise import Mode
from tests.unit.analysis.looking import (
    ACCURACY,
    ERRORS,
    GAUGE,
    KNOWN,
    LATENCY,
    START,
    histogram,
    look,
    readings,
    requests,
)

METRICS: list[Mapping[str, Any]] = [
    ERRORS,
    {**ERRORS, "tolerance": {}},
    {**ERRORS, "max": "2%", "minSamples": 1},
    ACCURACY,
    {**ACCURACY, "tolerance": {"relative": "5%"}, "min": "0.9"},
    LATENCY,
    {**LATENCY, "quantile": "0.5", "max": "300ms"},
    GAUGE,
    {**GAUGE, "betterWhen": "higher", "min": "0.5", "minSamples": 1},
]
metrics = st.sampled_from(METRICS)

# On a machine that is busy with other tests an example takes as long as it takes.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

odd_numbers = st.one_of(
    st.integers(0, 50).map(float),
    st.floats(0, 1e6),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([math.nan, math.inf, -math.inf, 0.0, -1.0, 2.0**53, 1e308, 5e-324]),
)
moments = st.integers(1, 30).map(lambda n: START + 5.0 * n)
labels = st.fixed_dictionaries(
    {},
    optional={
        "pod": st.sampled_from("ab"),
        "code": st.sampled_from(["200", "500"]),
        "le": st.sampled_from(["0.1", "0.10", "0.3", "1", "+Inf", "fast", "NaN"]),
    },
)
series = st.builds(Series, labels, st.lists(st.tuples(moments, odd_numbers), max_size=6).map(tuple))
answers: st.SearchStrategy[Answer] = st.one_of(
    st.lists(series, max_size=5).map(lambda found: Answered(tuple(found))),
    st.builds(Unanswered, st.sampled_from(["connection refused", "1:3: parse error"]), st.booleans()),
)
PARTS = ("bad", "good", "total", "histogram", "value")
anything = st.fixed_dictionaries(dict.fromkeys(PARTS, answers))


@st.composite
def likely(draw: st.DrawFn) -> dict[str, Answer]:
    """Pods that count requests as they should, but for a restart, a missed scrape or an odd sample here and there."""
    scrapes, many = draw(st.integers(2, 12)), draw(st.sampled_from([5, 100, 2000]))
    found: dict[str, list[Series]] = {part: [] for part in PARTS}
    for pod in "ab"[: draw(st.integers(1, 2))]:
        totals = [draw(st.integers(0, many)) for _ in range(scrapes)]
        shares = {"bad": draw(st.floats(0, 0.3)), "good": draw(st.floats(0.6, 1)), "total": 1.0}
        for part, share in shares.items():
            found[part].append(_counter(draw, [int(total * share) for total in totals], pod=pod, code=part))
        for le, share in (("0.1", draw(st.floats(0, 0.9))), ("0.3", draw(st.floats(0.9, 1))), ("+Inf", 1.0)):
            found["histogram"].append(_counter(draw, [int(total * share) for total in totals], pod=pod, le=le))
    found["value"] = readings(draw(st.lists(st.floats(0, 0.2) | st.just(0.1), min_size=1, max_size=30)))["value"]
    return {part: Answered(tuple(series)) for part, series in found.items()}


def _counter(draw: st.DrawFn, steps: list[int], **labels: str) -> Series:
    values, value = [], 0.0
    for step in steps:
        value = float(step) if draw(st.integers(0, 20)) == 0 else value + step
        values.append(value)
    if draw(st.integers(0, 9)) == 0:
        values[draw(st.integers(0, len(values) - 1))] = draw(odd_numbers)
    kept = [(START + 5.0 * (n + 1), value) for n, value in enumerate(values) if draw(st.integers(0, 15))]
    before = [(START + at, 0.0) for at in np.arange(KNOWN, 1.0, 5.0).tolist()] if draw(st.booleans()) else []
    return Series(labels, (*before, *kept))


told = st.one_of(likely(), likely(), likely(), anything)
counts = st.integers(0, 5000)
modes = st.sampled_from(
    [None, *(Prior(mode=mode, dispersion=2.0, share=0.01, rate=50.0, variance=0.01) for mode in Mode)]
)


@given(metrics, told, st.none() | told, st.integers(1, 12) | st.integers(1, 200), modes, st.booleans())
@settings(UNHURRIED, max_examples=150)
def test_every_answer_has_a_verdict_and_a_sentence(
    metric: Mapping[str, Any],
    candidate: dict[str, Answer],
    stable: dict[str, Answer] | None,
    at: int,
    usual: Prior | None,
    is_stepped: bool,
) -> None:
    verdict = look(metric, candidate, stable, at=at, usual=usual, steps=[7.5 * at] if is_stepped else [])
    assert re.fullmatch(rf"{metric['name']}(:| asks wrongly:) \S.*\.", verdict.message)
    assert not re.search(r"\b(nan|infs?|None)\b", verdict.message)


@given(metrics, told, told, st.randoms(use_true_random=False), modes)
@settings(UNHURRIED, max_examples=100)
def test_no_verdict_depends_on_the_order_of_series_or_samples(
    metric: Mapping[str, Any],
    candidate: dict[str, Answer],
    stable: dict[str, Answer],
    luck: random.Random,
    usual: Prior | None,
) -> None:
    def turned(answer: Answer) -> Answer:
        if isinstance(answer, Unanswered):
            return answer
        found = [Series(one.labels, tuple(luck.sample(one.samples, len(one.samples)))) for one in answer.series]
        return Answered(tuple(luck.sample(found, len(found))))

    first = look(metric, candidate, stable, usual=usual)
    again = look(
        metric,
        {part: turned(answer) for part, answer in candidate.items()},
        {part: turned(answer) for part, answer in stable.items()},
        usual=usual,
    )
    assert first == again


@given(metrics, told, st.sampled_from([Answered(()), Unanswered("connection refused", rejected=False)]))
@UNHURRIED
def test_a_candidate_that_is_not_seen_neither_passes_nor_fails(
    metric: Mapping[str, Any], stable: dict[str, Answer], nothing: Answer
) -> None:
    verdict = look(metric, dict.fromkeys(PARTS, nothing), stable).verdict
    assert verdict is (Verdict.NO_DATA if isinstance(nothing, Answered) else Verdict.UNAVAILABLE)


@given(metrics, told, st.sampled_from([Answered(()), Unanswered("connection refused", rejected=False)]))
@UNHURRIED
def test_nothing_passes_while_the_stable_it_is_compared_with_is_not_seen(
    metric: Mapping[str, Any], candidate: dict[str, Answer], nothing: Answer
) -> None:
    assert look(metric, candidate, dict.fromkeys(PARTS, nothing)).verdict is not Verdict.PASS


@given(counts, counts, counts, counts, modes.filter(lambda usual: usual is None or usual.mode is not Mode.RANKED))
@example(0, 5000, 0, 0, None)
@UNHURRIED
def test_no_better_share_ever_fails(mine: int, more: int, theirs: int, others: int, usual: Prior | None) -> None:
    """Two arms with any numbers: the one with the smaller share of errors is never taken back for it.

    Single pods that are noisy by themselves are another matter: their ranks are drawn where they are equal.
    """
    one, other = (mine, mine + more), (theirs, theirs + others)
    shares = [bad / total if total else 0.0 for bad, total in (one, other)]
    better, worse = (one, other) if shares[0] <= shares[1] else (other, one)
    strict = {**ERRORS, "tolerance": {}}
    assert look(strict, requests(*better), requests(*worse), usual=usual).verdict is not Verdict.FAIL
    rest = [(total - bad, total) for bad, total in (better, worse)]
    right = {**ACCURACY, "tolerance": {}}
    told = [requests(*arm, part="good") for arm in rest]
    assert look(right, *told, usual=usual).verdict is not Verdict.FAIL


@given(st.lists(st.integers(0, 2000), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
@UNHURRIED
def test_no_faster_candidate_ever_fails(buckets: list[int], speedups: list[float]) -> None:
    """Requests of stable moved to faster buckets, in part or all."""
    edges, total = (0.05, 0.1, 0.5), sum(buckets)
    faster = list(buckets)
    for at in (1, 2, 3):
        moved = round(faster[at] * speedups[at])
        faster[at], faster[at - 1] = faster[at] - moved, faster[at - 1] + moved
    told = [
        histogram({edge: float(sum(arm[: at + 1])) for at, edge in enumerate(edges)}, float(total))
        for arm in (faster, buckets)
    ]
    assert look({**LATENCY, "tolerance": {}}, *told).verdict is not Verdict.FAIL


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e9)), min_size=1, max_size=40), st.booleans())
@UNHURRIED
def test_no_better_value_ever_fails(pairs: list[tuple[float, float]], lower: bool) -> None:
    sign = -1 if lower else 1
    metric = {**GAUGE, "betterWhen": "lower" if lower else "higher", "tolerance": {}}
    better, stable = readings(value + sign * gain for value, gain in pairs), readings(value for value, _ in pairs)
    assert look(metric, better, stable, at=max(len(pairs), 1)).verdict is not Verdict.FAIL


@given(counts, counts, counts, counts)
@UNHURRIED
def test_arms_cannot_both_be_worse(mine: int, more: int, theirs: int, others: int) -> None:
    one, other = requests(mine, mine + more), requests(theirs, theirs + others)
    for tolerance in ({}, {"relative": "10%", "absolute": "1%"}):
        metric = {**ERRORS, "tolerance": tolerance}
        verdicts = look(metric, one, other).verdict, look(metric, other, one).verdict
        assert verdicts != (Verdict.FAIL, Verdict.FAIL)


@given(st.integers(1, 300), st.integers(0, 3000), st.integers(0, 300), st.integers(0, 30000), st.integers(2, 50))
@UNHURRIED
def test_more_of_the_same_never_takes_a_fail_back(mine: int, more: int, theirs: int, others: int, times: int) -> None:
    def told(factor: int) -> Verdict:
        return look(
            ERRORS,
            requests(mine * factor, (mine + more) * factor),
            requests(theirs * factor, (theirs + others) * factor),
        ).verdict

    assert told(1) is not Verdict.FAIL or told(times) is Verdict.FAIL


@given(st.lists(st.integers(0, 100), min_size=2, max_size=30), st.data())
@UNHURRIED
def test_missed_scrapes_lose_nothing(steps: list[int], data: st.DataObject) -> None:
    values = [sum(steps[: n + 1]) for n in range(len(steps))]
    samples = [(START + 5.0 * n, float(value)) for n, value in enumerate(values)]
    kept = [one for one in samples[1:-1] if data.draw(st.booleans())]
    gappy = Series({"pod": "a"}, (samples[0], *kept, samples[-1]))
    assert _grown([gappy]) == values[-1] - values[0]


@given(st.lists(st.lists(st.integers(1, 100), min_size=1, max_size=5), min_size=1, max_size=5))
@UNHURRIED
def test_restarts_lose_nothing_that_was_scraped(lives: list[list[int]]) -> None:
    """A process that counted so much in each life, scraped after each count; a new life starts below the old one."""
    values, expected = [0.0], 0
    for life in lives:
        counted = 0
        for step in life:
            counted += step
            values.append(float(counted))
        expected += counted
    told = Series({"pod": "a"}, tuple((START + 5.0 * n, value) for n, value in enumerate(values)))
    # A restart that is not seen as one, because the new life has already passed the old value, is undercounted.
    assert _grown([told]) <= expected
    if all(life[0] < sum(before) for before, life in pairwise(lives)):
        assert _grown([told]) == expected


@given(st.lists(series, max_size=6))
@UNHURRIED
def test_growth_is_a_number_and_told_twice_no_more_than_once(found: list[Series]) -> None:
    once = _grown(found)
    assert 0 <= once < math.inf
    assert _grown([*found, *found]) == once


def _grown(found: list[Series]) -> float:
    """How much these series grew, as if all had been there before and nothing were ever too long ago."""
    samples, reading = clean(found), SampleWindow(START, math.inf, 0.0)
    arm = scrapes_of((samples,), reading)
    return float(total_growth(samples, START + np.array([-1e4, 1e4]), arm, reading)[0]) if arm else 0.0


@given(st.lists(st.integers(0, 100), min_size=2, max_size=30), st.lists(st.floats(0, 150), max_size=10))
@UNHURRIED
def test_ticks_share_out_all_that_was_counted_wherever_they_end(steps: list[int], ends: list[float]) -> None:
    values = np.cumsum(steps)
    one = Series({"pod": "a"}, tuple((START + 5.0 * n, float(value)) for n, value in enumerate(values)))
    samples, reading = clean([one]), SampleWindow(START, math.inf, 0.0)
    arm = scrapes_of((samples,), reading)
    assert arm is not None
    edges = START + np.array([0.0, *sorted(ends), 150.0])
    found = total_growth(samples, edges, arm, reading)
    assert (found >= 0).all()
    assert math.isclose(float(found.sum()), float(values[-1] - values[0]), abs_tol=1e-6)


@given(st.text())
@UNHURRIED
def test_a_name_in_quotes_is_read_back_as_itself(text: str) -> None:
    quoted = in_quotes(text)
    assert not set(quoted) & {"'", '"', "`", "\n"}
    read = re.sub(r"\\(x..|.)", lambda found: chr(int(found[1][1:], 16)) if found[1][0] == "x" else found[1], quoted)
    assert read.replace("\n", "n") == text.replace("\n", "n")


@given(st.text(), st.text())
@UNHURRIED
def test_a_name_as_a_regular_expression_matches_itself_alone(text: str, other: str) -> None:
    assert re.fullmatch(as_regex(text), text)
    assert bool(re.fullmatch(as_regex(text), other)) is (text == other)


@given(st.text(), st.dictionaries(st.text(), st.text()))
@UNHURRIED
def test_a_text_without_braces_is_left_alone(text: str, values: dict[str, str]) -> None:
    plain = text.replace("{{", "")
    if "{{" not in plain:
        assert render_text(plain, values, where="here") == plain


@given(st.text(alphabet='{}" ab'), st.dictionaries(st.sampled_from("ab"), st.text()))
@UNHURRIED
def test_a_template_is_rendered_or_refused_in_words(text: str, values: dict[str, str]) -> None:
    def outcome() -> str:
        try:
            return "rendered " + render_text(text, values, where="spec.here")
        except UnknownName as refusal:
            return f"refused {refusal}"

    assert outcome().startswith(("rendered ", "refused spec.here: "))
