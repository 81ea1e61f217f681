"""A plain transcription of the study's formulas (statistics, section 2), slow and simple, to check the tables with.

Not the product's engine: `python -m benchmarks.analysis --engine tests.benchmarks.reference:engine` shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from scipy.special import logsumexp, ndtr
from scipy.stats import chi2

from benchmarks.analysis.trials import (
    Counts,
    Disparity,
    Engine,
    Floats,
    Gauges,
    Histograms,
    Ints,
    OneSample,
    Paired,
    Plan,
    Sums,
    Trial,
    first,
)
from tests.benchmarks.reference_pods import by_pods

OMEGA = np.array([1.25, 1.5, 1.85, 2.4, 3.5, 6.0, 14.0, 45.0])
OMEGA_WEIGHTS = np.array([0.14, 0.20, 0.20, 0.16, 0.12, 0.08, 0.06, 0.04])
KPI_OMEGA = np.array([1.03, 1.06, 1.12, 1.25, 1.5, 2.5])
KPI_WEIGHTS = np.array([0.2, 0.25, 0.25, 0.15, 0.1, 0.05])
PAIR_RATIOS = np.array([1.2, 1.5, 2.0, 3.0, 6.0])
GOOD_RATIOS = np.array([0.5, 0.8, 1.0, 1.2])
GOOD_WEIGHTS = np.array([0.15, 0.25, 0.4, 0.2])
STEP_OMEGA = np.array([1.15, 1.35, 1.7, 2.3, 3.5, 6.0, 15.0, 60.0])
WILCOXON = np.array([0.25, 0.7, 2.0])
SAVAGE = np.array([0.1, 0.25, 0.5])
TAILS = (0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.004, 0.001, 1e-4, 1e-6)
LOWERED = np.array([0.25, 0.4, 0.6, 1.0, 2.0])
HALF_LIFE = 600.0
CALIBRATION_RUNS = 4000

Terms = Callable[[int], Floats]
"""A tick to log e of each alternative, (runs, alternatives)."""


def mixture(terms: Terms, weights: Floats, gamma: Floats, runs: int) -> Iterator[Floats]:
    """log E after each tick, (runs,)."""
    wealth, cash = np.full((runs, len(weights)), -np.inf), 1.0
    for tick, restart in enumerate(gamma):
        if restart > 0:
            wealth = np.logaddexp(wealth, np.log(restart) + np.log(weights))
            cash -= restart
        wealth = wealth + terms(tick)
        yield np.logaddexp(logsumexp(wealth, axis=1), np.log(max(cash, 1e-300)))


def onsets(plan: Plan) -> Floats:
    """0.4 at the start, 0.3 over later steps, 0.3 evenly; a plan of one step splits in halves."""
    if plan.declared_horizon:
        return np.eye(1, plan.ticks)[0]
    later = [start for start in plan.step_starts if start > 0]
    gamma = np.full(plan.ticks, (0.3 if later else 0.5) / plan.ticks)
    gamma[0] += 0.4 if later else 0.5
    for start in later:
        gamma[start] += 0.3 / len(later)
    return gamma


def stacked(logs: Iterator[Floats]) -> Floats:
    return np.stack(list(logs), axis=1)


def projected(n_c, n_s, c1, s1, rho, delta):  # type: ignore[no-untyped-def]  # any mix of shapes
    a = n_c * rho**2 + n_s * rho
    b = n_c * rho * (delta - c1) + n_s * (delta - rho * s1)
    y = (-b + np.sqrt(b * b + 4 * a * n_s * delta * s1)) / (2 * a)
    return rho * y + delta, y


def running_rate(trial: Counts, tick_seconds: float) -> Floats:
    """Predictable stable rate before each tick, (runs, ticks)."""
    keep = 0.5 ** (tick_seconds / HALF_LIFE)
    bad, n = trial.history_bad + 0.5, trial.history_n + 1.0
    rates = np.empty(trial.n_stable.shape)
    for tick in range(rates.shape[1]):
        rates[:, tick] = bad / n
        bad, n = keep * bad + trial.bad_stable[:, tick], keep * n + trial.n_stable[:, tick]
    return rates


def counts(trial: Counts, gamma: Floats, plan: Plan, phi: Floats | None = None) -> Floats:
    """log E (runs, ticks) against candidate ≤ ρ·stable + δ."""
    rho, delta = trial.tolerance.ratio, trial.tolerance.absolute
    rates = running_rate(trial, plan.tick_seconds) if delta > 0 else None
    by = 1.0 if phi is None else phi[:, None]

    def terms(t: int) -> Floats:
        x_c, x_s = trial.bad_candidate[:, t, None], trial.bad_stable[:, t, None]
        n_c, n_s = trial.n_candidate[:, t, None], trial.n_stable[:, t, None]
        if rates is None:
            share = rho * n_c / np.maximum(rho * n_c + n_s, 1)
            return (x_c * np.log(OMEGA) - (x_c + x_s) * np.log1p(share * (OMEGA - 1))) / by
        s1 = rates[:, t, None]
        c1 = OMEGA * (rho * s1 + delta)
        return poisson(x_c, x_s, n_c, n_s, c1, s1, rho, delta) / by

    return stacked(mixture(terms, OMEGA_WEIGHTS, gamma, len(trial.n_stable)))


def poisson(x_c, x_s, n_c, n_s, c1, s1, rho, delta):  # type: ignore[no-untyped-def]  # any mix of shapes
    c0, s0 = projected(n_c, n_s, c1, s1, rho, delta)
    return x_c * np.log(c1 / c0) - n_c * (c1 - c0) + x_s * np.log(s1 / s0) - n_s * (s1 - s0)


def good(trial: Counts, plan: Plan) -> Floats:
    """log E (runs, ticks) against candidate ≥ ρ1·stable + δ1."""
    rates = running_rate(trial, plan.tick_seconds)
    rho, delta = trial.exclude.ratio, trial.exclude.absolute

    def terms(t: int) -> Floats:
        s1 = rates[:, t, None]
        x = trial.bad_candidate[:, t, None], trial.bad_stable[:, t, None]
        n = trial.n_candidate[:, t, None], trial.n_stable[:, t, None]
        return np.asarray(poisson(*x, *n, GOOD_RATIOS * s1, s1, rho, delta))

    return stacked(mixture(terms, GOOD_WEIGHTS, np.eye(1, plan.ticks)[0], len(rates)))


def odds(p: Floats, times: Floats) -> Floats:
    grown = times * p / (1 - p)
    return np.asarray(grown / (1 + grown))


def bernoulli(x: Floats, n: Floats, p1: Floats, p0: Floats) -> Floats:
    return np.asarray(x * np.log(p1 / p0) + (n - x) * np.log((1 - p1) / (1 - p0)))


def conversions(trial: Counts, gamma: Floats) -> Floats:
    """Fewer is worse: the alternative's candidate has odds that are smaller by ω."""
    s1 = ((trial.history_bad + 0.5) / (trial.history_n + 1.0))[:, None]
    c1 = odds(s1, 1 / KPI_OMEGA)

    def terms(t: int) -> Floats:
        n_c, n_s = trial.n_candidate[:, t, None], trial.n_stable[:, t, None]
        pooled = (n_c * c1 + n_s * s1) / (n_c + n_s)
        return bernoulli(trial.bad_candidate[:, t, None], n_c, c1, pooled) + bernoulli(
            trial.bad_stable[:, t, None], n_s, np.broadcast_to(s1, pooled.shape), pooled
        )

    return stacked(mixture(terms, KPI_WEIGHTS, gamma, len(s1)))


def histograms(trial: Histograms, gamma: Floats, plan: Plan) -> Floats:
    total = trial.history.sum(axis=0) / trial.history.sum()
    tail = 1 - np.cumsum(total)[:-1]
    if trial.native:
        wanted = sorted({int(np.argmin(np.abs(tail - mass))) for mass in TAILS})
    else:
        wanted = [j for j, mass in enumerate(tail) if mass < 0.95]
    starts = np.array([0, *(j + 1 for j in wanted)])

    def merged(counts_: np.ndarray) -> np.ndarray:
        return np.add.reduceat(counts_, starts, axis=-1)

    x_c, x_s, history = merged(trial.candidate), merged(trial.stable), merged(trial.history) + 0.5
    edges = len(starts) - 1
    steps = np.array(
        [np.where(np.arange(edges + 1) > j, omega, 1.0) for j in range(edges) for omega in STEP_OMEGA]
    )  # (edges × ω, buckets)
    weights = np.full(len(steps) + len(WILCOXON) + len(SAVAGE), 1.0)
    keep = 0.5 ** (plan.tick_seconds / HALF_LIFE)
    state = history.astype(float)

    def terms(t: int) -> Floats:
        nonlocal state
        q = state / state.sum(axis=1, keepdims=True)
        mid = np.cumsum(q, axis=1) - q / 2
        tilts = [
            np.exp(kappa * score)[:, None, :]
            for kappas, score in ((WILCOXON, mid - 0.5), (SAVAGE, -np.log1p(-mid) - 1))
            for kappa in kappas
        ]
        g = np.concatenate([np.broadcast_to(steps, (len(q), *steps.shape)), *tilts], axis=1)
        g = g / np.einsum("rkb,rb->rk", g, q)[:, :, None]
        n_c, n_s = x_c[:, t].sum(axis=1), x_s[:, t].sum(axis=1)
        share = (n_c / np.maximum(n_c + n_s, 1))[:, None, None]
        null = np.log1p(share * (g - 1))
        log_e = np.einsum("rb,rkb->rk", x_c[:, t].astype(float), np.log(g) - null)
        log_e -= np.einsum("rb,rkb->rk", x_s[:, t].astype(float), null)
        state = keep * state + x_s[:, t]
        return np.asarray(log_e)

    return stacked(mixture(terms, weights / len(weights), gamma, len(x_c)))


def half_normal(s: Floats, v: Floats, tau: float) -> Floats:
    spread = 1 + tau**2 * v
    with np.errstate(divide="ignore"):
        return np.asarray(
            np.log(2) - 0.5 * np.log(spread) + s**2 * tau**2 / (2 * spread) + np.log(ndtr(s * tau / np.sqrt(spread)))
        )


def gauges(trial: Gauges, plan: Plan) -> Floats:
    length = round(600 / plan.tick_seconds)
    batches = trial.history.shape[1] // length
    means = trial.history[:, : batches * length].reshape(len(trial.history), batches, length).mean(axis=2)
    v = length * means.var(axis=1, ddof=1) * (batches - 1) / chi2.ppf(0.10, batches - 1)
    loss = np.cumsum(trial.stable - trial.candidate, axis=1)
    log_e = half_normal(loss / v[:, None], np.arange(1, plan.ticks + 1) / v[:, None], trial.smallest_drop)
    log_e[:, :10] = 0
    return log_e


def sums(trial: Sums) -> Floats:
    n_c, n_s = trial.n_candidate, trial.n_stable
    h = n_c * n_s / (n_c + n_s)
    loss = trial.sum_stable / n_s - trial.sum_candidate / n_c
    users = np.cumsum(n_c + n_s, axis=1)
    mean = np.cumsum(trial.sum_candidate + trial.sum_stable, axis=1) / users
    variance = np.cumsum(trial.squares_candidate + trial.squares_stable, axis=1) / users - mean**2
    return half_normal(np.cumsum(h * loss, axis=1) / variance, np.cumsum(h, axis=1) / variance, trial.smallest_drop)


def one_sample(trial: OneSample, gamma: Floats) -> Floats:
    limit = np.array(trial.limit)
    worse = odds(limit, OMEGA)

    def terms(t: int) -> Floats:
        return bernoulli(trial.bad[:, t, None], trial.n[:, t, None], worse, np.broadcast_to(limit, worse.shape))

    return stacked(mixture(terms, OMEGA_WEIGHTS, gamma, len(trial.n)))


def paired(trial: Paired, gamma: Floats) -> Floats:
    k = PAIR_RATIOS

    def terms(t: int) -> Floats:
        b, c = trial.candidate_wrong[:, t, None], trial.stable_wrong[:, t, None]
        return np.asarray(b * np.log(2 * k / (1 + k)) + c * np.log(2 / (1 + k)))

    return stacked(mixture(terms, np.full(len(k), 1 / len(k)), gamma, len(trial.stable_wrong)))


def disparity(trial: Disparity, gamma: Floats) -> Floats:
    a = np.array([-1.0, 1.0, 1.0, -1.0])
    seen_good, seen = np.full(trial.n[:, 0].shape, 0.5), np.ones(trial.n[:, 0].shape)

    def terms(t: int) -> Floats:
        nonlocal seen_good, seen
        plug = np.clip(seen_good / seen, 1e-4, 1 - 1e-4)
        p1 = np.repeat(plug[:, None, :], len(LOWERED), axis=1)
        p1[:, :, 0] = odds(p1[:, :, 2], np.exp(-LOWERED))  # lower than the group has it with stable
        n, x = trial.n[:, t, None, :].astype(float), trial.good[:, t, None, :]
        p0 = nearest(np.maximum(n, 1e-9), p1, a, trial.tolerance)
        seen_good, seen = seen_good + trial.good[:, t], seen + trial.n[:, t]
        return np.asarray(bernoulli(x, n, p1, p0).sum(axis=2))

    return stacked(mixture(terms, np.full(len(LOWERED), 1 / len(LOWERED)), gamma, len(trial.n)))


def nearest(n: Floats, p1: Floats, a: Floats, bound: float) -> Floats:
    """The shares with a·θ ≤ bound nearest to p1: bisection for the multiplier."""

    def at(mu: Floats) -> Floats:
        b = n + mu * a
        root = np.sqrt(np.maximum(b * b - 4 * mu * a * n * p1, 0))
        return np.asarray(np.clip(2 * n * p1 / (b + root), 1e-9, 1 - 1e-9))

    low, high = np.zeros((*p1.shape[:2], 1)), np.full((*p1.shape[:2], 1), 1e6)
    for _ in range(60):
        middle = np.where(low > 0, np.sqrt(low * high), high * 1e-6)
        over = (at(middle) @ a)[..., None] > bound
        low, high = np.where(over, middle, low), np.where(over, high, middle)
    inside = (p1 @ a)[..., None] <= bound
    return np.asarray(np.where(inside, p1, at(high)))


def evidence(trial: Trial, plan: Plan) -> Floats:
    """log E of one metric, (runs, ticks)."""
    gamma = onsets(plan)
    match trial:
        case Counts(users=True):
            return conversions(trial, gamma)
        case Counts(pods=pods) if pods is not None:
            # Where noise is private, late onsets are not looked for: each restart bets on the next burst.
            start = np.eye(1, plan.ticks)[0]
            return by_pods(trial, plan, counts(trial, gamma, plan), lambda phi: counts(trial, start, plan, phi))
        case Counts():
            return counts(trial, gamma, plan)
        case Histograms():
            return histograms(trial, gamma, plan)
        case Gauges():
            return gauges(trial, plan)
        case Sums():
            return sums(trial)
        case OneSample():
            return one_sample(trial, gamma)
        case Paired():
            return paired(trial, gamma)
        case Disparity():
            return disparity(trial, gamma)


def certain(plan: Plan) -> float:
    return float(-np.log(plan.false_rollback_rate))


class Reference:
    """The formulas on batches; a declared horizon calibrates the threshold of a single count metric by simulation."""

    def __init__(self, calibration_runs: int = CALIBRATION_RUNS) -> None:
        self._calibration_runs = calibration_runs
        self._thresholds: dict[tuple[int, ...], float] = {}

    def rolled_back(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        each = np.stack([evidence(trial, plan) for trial in trials])
        together = logsumexp(each, axis=0) - np.log(len(trials))
        return first(together >= (self._calibrated(trials, plan) if plan.declared_horizon else certain(plan)))

    def may_advance(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        ready = []
        for trial in trials:
            if not isinstance(trial, Counts):
                raise NotImplementedError
            ready.append(np.maximum.accumulate(good(trial, plan), axis=1) >= -np.log(plan.false_promotion_rate))
        return first(np.all(ready, axis=0))

    def _calibrated(self, trials: Sequence[Trial], plan: Plan) -> float:
        [trial] = trials
        if not isinstance(trial, Counts):
            raise NotImplementedError
        n_c, n_s = trial.n_candidate.mean(axis=0), trial.n_stable.mean(axis=0)
        base = trial.history_bad.sum() / trial.history_n.sum()
        # To the nearest tenth of its logarithm, so that chunks of the same world share a threshold.
        key = (*np.rint(10 * np.log([n_c.mean(), n_s.mean(), base, n_c[-30:].mean()])).astype(int),)
        if key not in self._thresholds:
            rng = np.random.default_rng(1)
            shape = (self._calibration_runs, plan.ticks)
            empty = np.zeros(self._calibration_runs, dtype=np.int64)
            null = Counts(
                rng.poisson(n_c * base, shape),
                rng.poisson(n_s * base, shape),
                np.broadcast_to(np.rint(n_c).astype(int), shape),
                np.broadcast_to(np.rint(n_s).astype(int), shape),
                empty,
                empty,
            )
            highest = counts(null, onsets(plan), plan).max(axis=1)
            self._thresholds[key] = float(np.quantile(highest, 1 - plan.false_rollback_rate))
        return self._thresholds[key]


def engine() -> Engine:
    return Reference()
