"""Our engine as the tables see it: the one module of the benchmarks that knows modelrollout's tests.

It does run by run what the operator does look by look: the tests of `modelrollout.sequential`, put together
as verdicts put them together. Exact tests share one wealth; what rests on a limit theorem, or on the ranks of pods, has
a share of the error rate to itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.analysis.costs import Look
from benchmarks.analysis.trials import (
    NEVER,
    Counts,
    Disparity,
    Engine,
    Floats,
    Gauges,
    Histograms,
    Ints,
    Margin,
    OneSample,
    Paired,
    Plan,
    Sums,
    Trial,
)
from modelrollout.sequential import distributions, gauges, horizon, levels, noise, paired, proportions, ranks, strata
from modelrollout.sequential.noise import Mode
from modelrollout.sequential.proportions import Baseline, Bound
from modelrollout.sequential.wealth import EFFECT_WEIGHTS, Onsets, Wealth, grow, weights

SHARES_OF_TAILS = (0.95, 0.75, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.004, 0.001, 1e-4, 1e-6)
"""Of more edges than MOST_EDGES those are compared beyond which stable had about these shares of its requests."""
MOST_EDGES = 24
KNOWN = proportions.HALF_LIFE / math.log(2)
"""Seconds of history that a decayed one is worth."""


@dataclass(frozen=True, slots=True)
class Path:
    """ln of one metric's evidence after each tick; whether it may be averaged with others', and what it keeps of α."""

    log: Floats
    joint: bool = True
    share: float = 1.0


@dataclass(frozen=True, slots=True)
class Factors:
    """ln of the factors of wealth (ticks × bets), and ln of the bets' shares."""

    log: Floats
    shares: Floats


class Ours:
    """modelrollout's tests on batches of simulated releases."""

    def __init__(self) -> None:
        self._thresholds: dict[tuple[int, ...], float] = {}

    def rolled_back(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        """The ticks at which the operator would have taken traffic back."""
        threshold = self._declared(trials, plan)
        runs = range(len(_first_array(trials[0])))
        return np.array([_taken_back([path(trial, run, plan) for trial in trials], plan, threshold) for run in runs])

    def may_advance(self, trials: Sequence[Trial], plan: Plan) -> Ints:
        """The ticks at which what is unacceptable would have been ruled out."""
        return np.array([_moved_on(trials, run, plan) for run in range(len(_first_array(trials[0])))])

    def look(self, trial: Trial, plan: Plan) -> Look:
        """A look at the last tick of one run, from the evidence of those before it."""
        if isinstance(trial, Gauges | Sums):
            return lambda: path(trial, 0, plan)
        before, last = _cut(trial, slice(None, -1)), _cut(trial, slice(-1, None))
        restarts = _restarts(plan)
        told = harm(before, 0, plan)
        wealth = grow(Wealth.untouched(told.shares.size), told.log, restarts[:-1], told.shares).after(plan.ticks - 1)
        wealth = Wealth(wealth.bets.copy(), wealth.cash)  # not a view of all ticks

        def look() -> object:
            new = harm(last, 0, plan)
            again = good(last, 0, plan) if isinstance(last, Counts) else None
            if again is not None:
                grow(Wealth(again.shares, 0.0), again.log, np.zeros(1), again.shares)
            return grow(wealth, new.log, restarts[-1:], new.shares).last >= -math.log(plan.false_rollback_rate)

        return look

    def _declared(self, trials: Sequence[Trial], plan: Plan) -> float | None:
        """The threshold of a single count metric without absolute margin whose horizon is declared."""
        if not plan.declared_horizon:
            return None
        if len(trials) != 1 or not isinstance(trials[0], Counts) or trials[0].tolerance.absolute > 0:
            raise NotImplementedError
        trial = trials[0]
        mine, theirs = trial.n_candidate.mean(axis=0), trial.n_stable.mean(axis=0)
        share = trial.history_bad.sum() / trial.history_n.sum()
        # To the nearest tenth of a logarithm, so that all runs of a world share one simulation.
        key = tuple(round(10 * math.log(value)) for value in (share * mine.mean(), theirs.mean(), mine[0], mine[-1]))
        if key not in self._thresholds:
            merged = max(math.ceil(plan.ticks / horizon.TICKS), 1)
            mine, theirs, put_on = (_merged(part, merged) for part in (mine, theirs, _restarts(plan)))
            odds = trial.tolerance.ratio * mine
            self._thresholds[key] = horizon.threshold(
                share * (mine + theirs), odds / (odds + theirs), put_on, plan.false_rollback_rate
            )
        return self._thresholds[key]


def _taken_back(paths: Sequence[Path], plan: Plan, declared: float | None) -> int:
    """The first tick at which one metric breaks its bound by itself, or the exact ones do together."""
    alpha = plan.false_rollback_rate
    hit = np.zeros(plan.ticks, dtype=bool)
    for one in paths:
        needed = declared if declared is not None else math.log(len(paths) / (alpha * one.share))
        hit |= one.log >= needed
    joint = [one.log + math.log(one.share / len(paths)) for one in paths if one.joint]
    if joint:
        hit |= np.logaddexp.reduce(joint, axis=0) >= -math.log(alpha)
    return int(hit.argmax()) if hit.any() else NEVER


def _moved_on(trials: Sequence[Trial], run: int, plan: Plan) -> int:
    """The first tick by which every metric has ruled out what is unacceptable."""
    ready = np.ones(plan.ticks, dtype=bool)
    for trial in trials:
        if not isinstance(trial, Counts) or trial.users:
            raise NotImplementedError
        told = good(trial, run, plan)
        log = grow(Wealth(told.shares, 0.0), told.log, np.zeros(plan.ticks), told.shares).log
        ready &= np.maximum.accumulate(log) >= -math.log(plan.false_promotion_rate)
    return int(ready.argmax()) if ready.any() else NEVER


def path(trial: Trial, run: int, plan: Plan) -> Path:
    """The evidence of one metric in one run."""
    match trial:
        case Gauges():
            return Path(_gauge(trial, run, plan), joint=False)
        case Sums():
            return Path(_sums(trial, run), joint=False)
        case Counts(pods=pods) if pods is not None:
            return _noisy(trial, run, plan)
        case _:
            return Path(_wealth(harm(trial, run, plan), plan))


def harm(trial: Trial, run: int, plan: Plan, tolerated: Bound | None = None) -> Factors:
    """What speaks against the candidate, tick by tick. `tolerated`: of counts, if not the trial's own."""
    match trial:
        case Counts():
            seen = _counts(trial, run)
            usual = _usual(trial, seen, run, plan)
            is_rare = trial.fewer_is_worse
            bound = tolerated or _tolerated(trial)
            log, _ = proportions.both(seen, usual, bound, _excluded(trial), is_rare=is_rare)
            return Factors(log, weights(proportions.RARE_EFFECT_WEIGHTS if is_rare else EFFECT_WEIGHTS))
        case Histograms():
            return _slower(trial, run, plan)
        case OneSample():
            log = proportions.beyond_limit(_floats(trial.bad[run]), _floats(trial.n[run]), trial.limit)
            return Factors(log, weights(EFFECT_WEIGHTS))
        case Paired():
            log = paired.worse(_floats(trial.candidate_wrong[run]), _floats(trial.stable_wrong[run]))
            return _even(log)
        case Disparity():
            return _disparity(trial, run)
        case Gauges() | Sums():
            raise NotImplementedError


def good(trial: Counts, run: int, plan: Plan) -> Factors:
    """What speaks against the candidate being unacceptable, tick by tick."""
    seen = _counts(trial, run)
    log = proportions.better(seen, _usual(trial, seen, run, plan), _excluded(trial))
    return Factors(log, weights(proportions.GOOD_WEIGHTS))


def _counts(trial: Counts, run: int) -> proportions.Counts:
    """Bad ones per tick; where fewer events are worse, an event that is missing is a bad one."""
    bad_candidate, bad_stable = _floats(trial.bad_candidate[run]), _floats(trial.bad_stable[run])
    candidate, stable = _floats(trial.n_candidate[run]), _floats(trial.n_stable[run])
    if trial.fewer_is_worse:
        bad_candidate, bad_stable = candidate - bad_candidate, stable - bad_stable
    return proportions.Counts(bad_candidate, candidate, bad_stable, stable)


def _tolerated(trial: Counts) -> Bound:
    margin: Margin = trial.tolerance
    return Bound(margin.ratio, margin.absolute)


def _excluded(trial: Counts) -> Bound:
    return Bound(trial.exclude.ratio, trial.exclude.absolute)


def _usual(trial: Counts, seen: proportions.Counts, run: int, plan: Plan) -> Floats:
    """What stable's rate is taken for before each tick."""
    bad, n = float(trial.history_bad[run]), float(trial.history_n[run])
    bad = n - bad if trial.fewer_is_worse else bad
    worth = min(KNOWN / (trial.history_ticks * plan.tick_seconds), 1.0)
    left = proportions.decay(plan.tick_seconds)
    events, requests, _ = Baseline(bad * worth, n * worth).before_each(seen.bad_stable, seen.stable, left)
    return proportions.rate(events, requests)


def _restarts(plan: Plan, *, is_noisy: bool = False) -> Floats:
    """All at the start where the horizon is declared, or pods burst by themselves."""
    edges = np.asarray(np.arange(plan.ticks + 1) * plan.tick_seconds, dtype=np.float64)
    later = [start * plan.tick_seconds for start in plan.step_starts if start > 0]
    is_late_expected = not (is_noisy or plan.declared_horizon)
    return Onsets(0.0, len(later), plan.ticks * plan.tick_seconds, is_late_expected).restarts(edges, later)


def _wealth(told: Factors, plan: Plan, dispersion: float = 1.0) -> Floats:
    restarts = _restarts(plan, is_noisy=dispersion > 1)
    return grow(Wealth.untouched(told.shares.size), told.log / dispersion, restarts, told.shares).log


def _even(log: Floats) -> Factors:
    return Factors(log, weights(np.ones(log.shape[1])))


def _floats(values: Ints) -> Floats:
    return np.asarray(values, dtype=np.float64)


def _noisy(trial: Counts, run: int, plan: Plan) -> Path:
    """Errors pod by pod: how they are counted follows from the history of stable's pods."""
    assert trial.pods is not None  # noqa: S101 - the caller's pattern
    pods = trial.pods
    block = round(min(noise.BLOCKS) / plan.tick_seconds)
    bad, total = (
        np.add.reduceat(_floats(part[run]), np.arange(0, len(part[run]), block), axis=0).T
        for part in (pods.history_bad, pods.history_n)
    )
    found = noise.measure_noise(noise.History(bad, total, block * plan.tick_seconds))
    told = harm(trial, run, plan, _allowed(trial, found, plan))
    match noise.choose_mode(found):
        case Mode.DISPERSED if found is not None:
            return Path(_wealth(told, plan, noise.INFLATION * found.dispersion), share=noise.SHARE_IN_NOISE)
        case Mode.RANKED:
            return Path(_ranked(trial, run, plan), joint=False, share=noise.SHARE_IN_NOISE)
        case _:
            return Path(_wealth(told, plan))


def _allowed(trial: Counts, found: noise.Noise | None, plan: Plan) -> Bound:
    """The tolerance, or what pods differ by for good, whichever is wider."""
    if found is None or trial.pods is None:
        return _tolerated(trial)
    reach = found.levels.reach(plan.false_rollback_rate * (1 - noise.SHARE_IN_NOISE))
    apart = math.sqrt(1 / trial.pods.n_candidate.shape[2] + 1 / trial.pods.n_stable.shape[2])
    return _tolerated(trial).widened(float(levels.widening(reach, np.array([apart]))[0]))


def _ranked(trial: Counts, run: int, plan: Plan) -> Floats:
    """The wealth of ranks: it moves when a block is over."""
    assert trial.pods is not None  # noqa: S101 - the caller's
    pods = trial.pods
    block = round(ranks.BLOCK / plan.tick_seconds)
    starts = np.arange(0, plan.ticks - block + 1, block)
    mine, theirs = (
        ranks.PodCounts(*(np.add.reduceat(_floats(part[run]), starts, axis=0) for part in arm))
        for arm in ((pods.bad_candidate, pods.n_candidate), (pods.bad_stable, pods.n_stable))
    )
    rows = [np.tile(weights(np.ones(ranks.POWERS.size)), (ranks.READINGS, 1))]
    for number in range(len(starts)):
        own, usual = (ranks.PodCounts(arm.bad[number], arm.total[number]) for arm in (mine, theirs))
        rows.append(ranks.factors(own, usual, _tolerated(trial), f"{run}/{number}/{trial.history_bad[run]}"))
    after = np.logaddexp.reduce(np.add.accumulate(rows), axis=2).min(axis=1)[1:]
    log = np.zeros(plan.ticks)
    for number, start in enumerate(starts):
        log[start + block - 1 : start + 2 * block - 1] = after[number]
    return log


def _slower(trial: Histograms, run: int, plan: Plan) -> Factors:
    """The whole distribution, beyond every edge or, of very many, beyond those that tell."""
    history = _floats(trial.history[run])
    tails = 1 - np.cumsum(history)[:-1] / history.sum()
    edges = np.arange(len(tails))
    if len(edges) > MOST_EDGES:
        distance = np.abs(np.log(np.maximum(tails, 1e-9))[None, :] - np.log(np.array(SHARES_OF_TAILS))[:, None])
        edges = np.unique(distance.argmin(axis=1))
    beyond = []
    for part in (trial.candidate[run], trial.stable[run]):
        upto = np.cumsum(_floats(part), axis=1)
        beyond += [upto[:, -1:] - upto[:, edges], upto[:, -1]]
    seen = distributions.Slower(beyond[0], beyond[1], beyond[2], beyond[3])
    # Of an hour of history, as much as a decayed one is worth.
    known = np.add.reduceat(history, np.append(0, edges + 1)) * min(KNOWN / 3600, 1.0)
    left = proportions.decay(plan.tick_seconds)
    before = distributions.known_before(known, seen.beyond_stable, seen.stable, left)[:-1]
    return Factors(distributions.slower(seen, before), distributions.log_weights(len(edges)))


def _gauge(trial: Gauges, run: int, plan: Plan) -> Floats:
    variance = gauges.long_run_variance(trial.history[run], round(gauges.BATCH / plan.tick_seconds))
    if variance is None:
        raise NotImplementedError
    loss = np.cumsum(trial.stable[run] - trial.candidate[run])
    readings = np.arange(1, len(loss) + 1)
    log = gauges.log_wealth(loss / variance, readings / variance, trial.smallest_drop)
    log[: gauges.WARM_UP - 1] = 0.0
    return log


def _sums(trial: Sums, run: int) -> Floats:
    """Means per user, hour by hour: the same mixture on a difference whose variance is known from the sums."""
    n_c, n_s = _floats(trial.n_candidate[run]), _floats(trial.n_stable[run])
    pooled = n_c * n_s / (n_c + n_s)
    loss = trial.sum_stable[run] / n_s - trial.sum_candidate[run] / n_c
    users = np.cumsum(n_c + n_s)
    mean = np.cumsum(trial.sum_candidate[run] + trial.sum_stable[run]) / users
    variance = np.cumsum(trial.squares_candidate[run] + trial.squares_stable[run]) / users - mean**2
    return gauges.log_wealth(np.cumsum(pooled * loss) / variance, np.cumsum(pooled) / variance, trial.smallest_drop)


def _disparity(trial: Disparity, run: int) -> Factors:
    """Each stream is taken for what it was so far, and the candidate's group for what stable's was."""
    right, total = _floats(trial.good[run]), _floats(trial.n[run])
    before = np.zeros((2, *right.shape))
    before[0, 1:], before[1, 1:] = np.cumsum(right, axis=0)[:-1], np.cumsum(total, axis=0)[:-1]
    usual = (before[0] + 0.5) / (before[1] + 1.0)
    usual[:, 0] = usual[:, 2]
    return _even(strata.worse(right, total, usual, strata.GAP_RULE, trial.tolerance))


def _merged(values: Floats, times: int) -> Floats:
    return np.asarray(np.add.reduceat(values, np.arange(0, len(values), times)), dtype=np.float64)


def _first_array(trial: Trial) -> Ints | Floats:
    match trial:
        case Counts() | Sums():
            return trial.n_stable
        case Histograms() | Gauges():
            return trial.stable
        case OneSample() | Disparity():
            return trial.n
        case Paired():
            return trial.stable_wrong


_HISTORY = frozenset({"history", "history_bad", "history_n", "edges"})


def _cut(trial: Trial, ticks: slice) -> Trial:
    """Only some ticks of it."""
    arrays = {
        name: value[:, ticks]
        for name in trial.__slots__
        if name not in _HISTORY and isinstance(value := getattr(trial, name), np.ndarray)
    }
    return replace(trial, **arrays)  # type: ignore[arg-type]  # each has the fields that it has


def engine() -> Engine:
    """The engine of this source tree."""
    return Ours()
