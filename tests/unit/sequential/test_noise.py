"""What stable's pods show before a rollout: noise of each kind is seen, and clean services are not called noisy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import lfilter

from modelrollout.sequential.noise import (
    CALM_DISPERSION,
    FEWEST_BLOCKS,
    FORGETFUL_CORRELATION,
    History,
    Mode,
    Noise,
    choose_mode,
    measure_noise,
    noisiest,
)
from modelrollout.sequential.ranks import FEWEST_PODS
from tests.unit.sequential.worlds import fresh_worlds, most

PODS, BLOCKS = 20, 360
"""Six hours in blocks of a minute."""


def clean(drawn: np.random.Generator, rate: float, total: np.ndarray) -> np.ndarray:
    return drawn.binomial(total, rate)


def shared(drawn: np.random.Generator, rate: float, total: np.ndarray) -> np.ndarray:
    waves = rate * np.exp(0.5 * drawn.standard_normal(BLOCKS)) * (1 + 9 * (drawn.random(BLOCKS) < 0.05))
    return drawn.binomial(total, np.minimum(waves, 1.0))


def clustered(drawn: np.random.Generator, rate: float, total: np.ndarray) -> np.ndarray:
    clusters = drawn.poisson(total * rate / 5)
    return np.minimum(np.where(clusters, drawn.negative_binomial(np.maximum(clusters, 1), 1 / 5) + clusters, 0), total)


def drifting(drawn: np.random.Generator, rate: float, total: np.ndarray) -> np.ndarray:
    noise = math.sqrt(1 - 0.9**2) * drawn.standard_normal((PODS, BLOCKS + 60))
    drift = 0.3 * lfilter([1.0], [1.0, -0.9], noise, axis=1)[:, 60:]
    return drawn.binomial(total, rate * np.exp(drift - 0.045))


def bursty(drawn: np.random.Generator, rate: float, total: np.ndarray) -> np.ndarray:
    bursts = drawn.random((PODS, BLOCKS)) < 1 / 60
    return drawn.binomial(total, rate + 0.05 * 0.75 * bursts)


def seen(kind: object, drawn: np.random.Generator, rate: float, rps: float) -> Noise:
    total = drawn.poisson(60 * rps / PODS, (PODS, BLOCKS))
    bad = kind(drawn, rate, total)  # type: ignore[operator]
    noise = measure_noise(History(bad.astype(float), total.astype(float), 60.0))
    assert noise is not None
    assert noise.pods == PODS
    assert noise.seconds == 6 * 3600
    return noise


@pytest.mark.parametrize("kind", [clean, shared])
@pytest.mark.parametrize(("rate", "rps"), [(0.001, 500.0), (0.01, 50.0), (0.01, 500.0), (0.01, 5000.0), (0.2, 500.0)])
def test_requests_that_fail_one_by_one_are_calm_whatever_pods_share(kind: object, rate: float, rps: float) -> None:
    with fresh_worlds() as drawn:
        assert sum(choose_mode(seen(kind, drawn, rate, rps)) is not Mode.PLAIN for _ in range(60)) <= most(60, 0.10)


@pytest.mark.parametrize(
    ("kind", "rate", "rps"),
    [
        *itertools.product([clustered, bursty], [0.01], [50.0, 500.0, 5000.0]),
        (clustered, 0.001, 500.0),
        (bursty, 0.001, 500.0),
        (drifting, 0.01, 500.0),
        (drifting, 0.01, 5000.0),
    ],
)
def test_clusters_drifts_and_bursts_of_single_pods_are_seen(kind: object, rate: float, rps: float) -> None:
    with fresh_worlds() as drawn:
        missed = sum(choose_mode(seen(kind, drawn, rate, rps)) not in (Mode.DISPERSED, Mode.RANKED) for _ in range(60))
        assert missed <= most(60, 0.10)


def hours_of(rng: np.random.Generator, hours: int, bursts_per_hour: float, spread: float = 0.0) -> Iterator[Noise]:
    """Single hours of 19 pods at 50 requests/s and 1 % errors: bursts of 30 to 60 s, and pods that wander."""
    for _ in range(hours):
        starts = rng.random((19, 6 * 60)) < bursts_per_hour / 360
        lasting = rng.integers(3, 7, starts.shape)
        burst = sum(np.pad(starts & (lasting > ago), ((0, 0), (ago, 0)))[:, : starts.shape[1]] for ago in range(6))
        wander = np.exp(spread * lfilter([0.436], [1.0, -0.9], rng.standard_normal(starts.shape), axis=1))
        total = rng.poisson(25, starts.shape)
        bad = rng.binomial(total, 0.01 * wander + 0.05 * (burst > 0))
        noise = measure_noise(
            History(*(part.reshape(19, 60, 6).sum(axis=2).astype(float) for part in (bad, total)), 60.0)
        )
        assert noise is not None
        yield noise


def test_an_hour_shows_rare_bursts_that_hardly_raise_the_variance() -> None:
    noises = list(hours_of(np.random.default_rng(20261127), 200, bursts_per_hour=1.0))
    assert sum(noise.dispersion <= CALM_DISPERSION for noise in noises) > 0
    assert sum(choose_mode(noise) is Mode.PLAIN for noise in noises) <= 6


@pytest.mark.parametrize("spread", [0.0, 0.3])
def test_neither_chance_nor_pods_that_wander_are_taken_for_bursts(spread: float) -> None:
    noises = list(hours_of(np.random.default_rng(20261128), 100, bursts_per_hour=0.0, spread=spread))
    assert sum(noise.has_bursts for noise in noises) <= 5


def test_errors_that_come_more_evenly_than_by_chance_are_no_bursts() -> None:
    bad = np.tile([1.0, 1.0, 1.0, 0.0], (4, 15))
    noise = measure_noise(History(bad, np.full(bad.shape, 750.0), 60.0))
    assert noise is not None
    assert noise.is_calm


def test_bursts_discount_events_though_the_variance_is_within_chance() -> None:
    noise = replace(FEW_PODS, dispersion=1.05, has_bursts=True)
    assert choose_mode(noise) is Mode.DISPERSED
    assert choose_mode(replace(BURSTY_PODS, dispersion=1.05, has_bursts=True)) is Mode.DISPERSED
    assert noisiest([replace(CALM_PODS, dispersion=1.08), noise]) == noise


def test_slow_drifts_are_remembered_and_clusters_are_not() -> None:
    with fresh_worlds() as drawn:
        drifts = [choose_mode(seen(drifting, drawn, 0.01, 5000.0)) for _ in range(30)]
        assert sum(mode is not Mode.DISPERSED for mode in drifts) <= most(30, 0.05)
        clusters = [choose_mode(seen(clustered, drawn, 0.01, 500.0)) for _ in range(30)]
        assert sum(mode is not Mode.RANKED for mode in clusters) <= most(30, 0.05)


CALM_PODS = Noise(CALM_DISPERSION, 0.5, 40, 7200)
BURSTY_PODS = Noise(CALM_DISPERSION + 0.01, FORGETFUL_CORRELATION, FEWEST_PODS, 7200)
DRIFTING_PODS = Noise(3.0, FORGETFUL_CORRELATION + 0.01, 40, 7200)
FEW_PODS = Noise(3.0, 0.0, FEWEST_PODS - 1, 7200)


@pytest.mark.parametrize(
    ("noise", "wish", "expected"),
    [
        (None, "auto", Mode.ASSUMED),
        (CALM_PODS, "auto", Mode.PLAIN),
        (BURSTY_PODS, "auto", Mode.RANKED),
        (DRIFTING_PODS, "auto", Mode.DISPERSED),
        (FEW_PODS, "auto", Mode.DISPERSED),
        (None, "independent", Mode.PLAIN),
        (DRIFTING_PODS, "independent", Mode.PLAIN),
        (None, "strict", Mode.STRICT),
        (CALM_PODS, "strict", Mode.STRICT),
    ],
)
def test_how_events_are_counted_follows_from_the_noise_and_the_wish(
    noise: Noise | None, wish: str, expected: Mode
) -> None:
    assert choose_mode(noise, wish) is expected


def test_a_candidate_by_itself_is_ranked_among_nobody() -> None:
    assert choose_mode(BURSTY_PODS, is_compared=False) is Mode.DISPERSED
    assert choose_mode(CALM_PODS, is_compared=False) is Mode.PLAIN


def test_the_noisier_of_several_histories_decides() -> None:
    assert noisiest([None, CALM_PODS, DRIFTING_PODS, BURSTY_PODS]) == DRIFTING_PODS
    assert noisiest([None, None]) is None


def test_the_order_of_pods_changes_nothing() -> None:
    drawn = np.random.default_rng(1)
    total = drawn.poisson(100, (PODS, BLOCKS)).astype(float)
    bad = clustered(drawn, 0.02, total).astype(float)
    order = drawn.permutation(PODS)
    one, other = (measure_noise(History(bad[pods], total[pods], 60.0)) for pods in (np.arange(PODS), order))
    assert one is not None
    assert other is not None
    assert one.dispersion == pytest.approx(other.dispersion)
    assert one.memory == pytest.approx(other.memory)


@pytest.mark.parametrize(
    ("bad", "total"),
    [
        (np.zeros((20, 360)), np.full((20, 360), 100.0)),  # too few errors to tell
        (np.ones((20, FEWEST_BLOCKS - 1)), np.full((20, FEWEST_BLOCKS - 1), 10.0)),  # too short
        (np.zeros((20, 360)), np.zeros((20, 360))),  # silence
        (np.zeros((0, 0)), np.zeros((0, 0))),
    ],
)
def test_a_history_that_cannot_tell_says_nothing(bad: np.ndarray, total: np.ndarray) -> None:
    assert measure_noise(History(bad, total, 60.0)) is None


def test_silent_pods_and_blocks_and_services_that_always_fail_break_nothing() -> None:
    total = np.full((4, 40), 10.0)
    total[0] = 0.0
    total[:, 5] = 0.0
    noise = measure_noise(History(total.copy(), total, 60.0))
    assert noise is not None
    assert noise.pods == 3
    assert math.isfinite(noise.dispersion)
    assert math.isfinite(noise.memory)
