"""That simulated services have the moments they claim to have."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.analysis import latencies, streams, worlds
from benchmarks.analysis.peers import histogram_quantile
from benchmarks.analysis.worlds import NOISES, TICK, TICKS, Effect, Service

SERVICE = Service(0.01, 500.0)


def test_a_clean_service_has_the_errors_and_the_traffic_that_it_says() -> None:
    seen = worlds.clean(np.random.default_rng(1), 200, SERVICE, Effect(ratio=2.0))
    assert seen.n_candidate.mean() == pytest.approx(0.05 * 500 * TICK, rel=0.01)
    assert seen.n_stable.mean() == pytest.approx(0.95 * 500 * TICK, rel=0.01)
    assert seen.bad_candidate.sum() / seen.n_candidate.sum() == pytest.approx(0.02, rel=0.02)
    assert seen.bad_stable.sum() / seen.n_stable.sum() == pytest.approx(0.01, rel=0.02)


def test_a_late_regression_begins_at_its_onset_and_not_before() -> None:
    rate = Effect(ratio=3.0, onset=2).rate(np.full(4, 0.01))
    assert rate.tolist() == pytest.approx([0.01, 0.01, 0.03, 0.03])


def test_steps_begin_where_the_weight_changes() -> None:
    assert worlds.step_starts(worlds.weights(0.05, 0.10, 0.25, 0.50)) == (0, 90, 180, 270)


@pytest.mark.parametrize(("noise", "factor"), [("N0", 1.0), ("N1", 1.3375), ("N2", 1.0), ("N3", 1.0), ("N4", 1.0625)])
def test_noise_keeps_the_mean_error_rate_but_for_its_bursts(noise: str, factor: float) -> None:
    """Bursts: three an hour of 45 s ×10, of which load is independent; one an hour of 45 s +5 points."""
    seen = worlds.noisy(np.random.default_rng(2), 60, SERVICE, NOISES[noise])
    assert seen.bad_stable.sum() / seen.n_stable.sum() == pytest.approx(0.01 * factor, rel=0.12)


def test_pods_add_up_to_their_arms_and_one_of_twenty_is_the_candidate() -> None:
    seen = worlds.noisy(np.random.default_rng(3), 2, SERVICE, NOISES["N3"])
    assert seen.pods is not None
    assert seen.pods.bad_candidate.shape == (2, TICKS, 1)
    assert seen.pods.bad_stable.shape == (2, TICKS, 19)
    assert (seen.pods.bad_stable.sum(axis=2) == seen.bad_stable).all()


def test_clusters_make_counts_vary_more_than_chance() -> None:
    """Geometric sizes of mean 5: the variance is E[size²] / E[size] = 9 times the mean."""
    _, bad = worlds.n2_clusters(np.random.default_rng(4), np.full((50, TICKS, 4), 0.01), 2000.0)
    assert bad.var() / bad.mean() == pytest.approx(9, rel=0.1)


def test_private_drift_has_its_spread_and_its_memory() -> None:
    path = worlds.autoregressive(np.random.default_rng(5), (400, 300), 0.9)
    assert path.var() == pytest.approx(1, rel=0.05)
    assert (path[:, 1:] * path[:, :-1]).mean() == pytest.approx(0.9, rel=0.05)


def test_latency_has_its_median_and_its_tail() -> None:
    assert latencies.quantile(0.5) == pytest.approx(0.050)
    assert latencies.quantile(0.99) == pytest.approx(0.202, abs=0.001)
    reported = histogram_quantile(0.99, latencies.shares(latencies.plain, latencies.CLASSIC), latencies.CLASSIC)
    assert reported == pytest.approx(0.242, abs=0.001)


def test_every_way_to_be_slower_is_a_distribution_and_slower() -> None:
    for edges in (latencies.CLASSIC, latencies.NATIVE):
        for slower in latencies.SLOWER:
            found = latencies.shares(slower.survival, edges)
            assert found.sum() == pytest.approx(1)
            assert (slower.survival(edges[:-1]) >= latencies.plain(edges[:-1]) - 1e-12).all()


def test_a_slow_tail_moves_p99_by_its_factor() -> None:
    p99 = latencies.quantile(0.99)
    assert latencies.slow_tail(1.5)(np.array([1.5 * p99])) == pytest.approx([0.01])


def test_buckets_hold_the_requests_that_were_made() -> None:
    rng = np.random.default_rng(6)
    seen = latencies.histograms(rng, 20, 500.0, latencies.SAME, latencies.CLASSIC)
    assert seen.candidate.sum(axis=2).mean() == pytest.approx(250, rel=0.01)
    assert seen.stable.sum(axis=2).mean() == pytest.approx(4750, rel=0.01)


def test_amounts_of_users_have_the_mean_and_the_variance_that_the_limit_is_told() -> None:
    seen = streams.revenue(np.random.default_rng(7), 40, 0.0)
    users = seen.n_stable.sum()
    mean = seen.sum_stable.sum() / users
    variance = seen.squares_stable.sum() / users - mean**2
    # Conversion and traffic rise together, so the average user is a little better than the average hour.
    assert mean == pytest.approx(streams.REVENUE * streams.CONVERSION * 1.05, rel=0.02)
    assert variance / mean**2 == pytest.approx(streams.revenue_variance_ratio() / 1.05, rel=0.1)
