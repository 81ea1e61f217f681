"""The adapter: every kind of trial reaches the engine, gross regressions are found and fine releases are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.analysis import streams
from benchmarks.analysis.costs import fleet, kinds
from benchmarks.analysis.latencies import CLASSIC, NATIVE, SAME, Slower, histograms, scaled
from benchmarks.analysis.ours import Ours
from benchmarks.analysis.trials import NEVER, Margin, Plan, Trial
from benchmarks.analysis.worlds import NOISES, TICKS, Effect, Service, clean, noisy
from tests.benchmarks.reference import Reference

PLAN = Plan(TICKS)
SERVICE = Service(0.01, 500.0)
RUNS = 3


class Silent:
    def begin(self, what: str, runs: int) -> None:
        pass

    def advance(self, runs: int) -> None:
        pass


def worlds(*, is_bad: bool) -> dict[str, Trial]:
    """One of each kind, with a gross regression or without any."""
    rng = np.random.default_rng(17)
    errors = clean(rng, RUNS, SERVICE, Effect(ratio=4.0 if is_bad else 1.0))
    slow = Slower("all ×1.5", scaled(1.5)) if is_bad else SAME
    return {
        "errors": errors,
        "errors with margins": replace(errors, tolerance=Margin(0.25, 0.001)),
        "errors by pod": noisy(rng, RUNS, SERVICE, NOISES["N0"], Effect(ratio=4.0 if is_bad else 1.0)),
        "clusters by pod": noisy(rng, RUNS, SERVICE, NOISES["N2"], Effect(ratio=6.0 if is_bad else 1.0)),
        "classic buckets": histograms(rng, RUNS, SERVICE.rps, slow, CLASSIC),
        "native buckets": histograms(rng, RUNS, SERVICE.rps, slow, NATIVE),
        "gauge": streams.gauges(rng, RUNS, 0.05 if is_bad else 0.0, 0.8),
        "conversion": streams.conversions(rng, RUNS, 0.5 if is_bad else 0.0, hours=TICKS),
        "revenue": streams.revenue(rng, RUNS, 0.5 if is_bad else 0.0, hours=TICKS),
        "shadow": streams.shadow(rng, RUNS, 25.0, 0.1 if is_bad else 0.02, 0.02),
        "pairs": streams.pairs(rng, RUNS, 0.12 if is_bad else 0.02, 0.02),
        "groups": streams.groups(rng, RUNS, 5000.0, 0.25, 0.15 if is_bad else 0.0),
    }


@pytest.mark.parametrize("kind", worlds(is_bad=True))
def test_gross_regressions_of_every_kind_are_found(kind: str) -> None:
    assert (Ours().rolled_back([worlds(is_bad=True)[kind]], PLAN) != NEVER).all()


@pytest.mark.parametrize("kind", worlds(is_bad=False))
def test_fine_releases_of_every_kind_are_left_alone(kind: str) -> None:
    assert (Ours().rolled_back([worlds(is_bad=False)[kind]], PLAN) == NEVER).all()


def test_a_release_as_good_as_stable_may_move_on_and_one_twice_as_bad_may_not() -> None:
    rng = np.random.default_rng(3)
    fine, bad = (clean(rng, RUNS, SERVICE, Effect(ratio=ratio)) for ratio in (1.0, 4.0))
    assert (Ours().may_advance([fine], PLAN) != NEVER).all()
    assert (Ours().may_advance([fine, bad], PLAN) == NEVER).all()


def test_the_engine_needs_about_as_long_as_the_plain_formulas() -> None:
    world = clean(np.random.default_rng(4), 60, SERVICE, Effect(ratio=2.0))
    times = [np.mean(engine.rolled_back([world], PLAN) + 1) for engine in (Ours(), Reference())]
    assert times[0] == pytest.approx(times[1], rel=0.25)


def test_a_look_of_every_kind_can_be_timed() -> None:
    for trial in kinds().values():
        Ours().look(trial, PLAN)()
    table = fleet(Ours(), Silent(), rollouts=2, prepared=1)
    assert [name for name, _ in table.rows][-1] == "memory kept, MB"
