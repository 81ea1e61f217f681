"""What a look costs: microseconds per metric, and looks per second and memory for a thousand rollouts."""

from __future__ import annotations

import gc
import time
import timeit
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from benchmarks.analysis import streams
from benchmarks.analysis.latencies import CLASSIC, NATIVE, SAME, histograms
from benchmarks.analysis.measure import Progress
from benchmarks.analysis.report import NONE, Table
from benchmarks.analysis.trials import Floats, Plan, Trial
from benchmarks.analysis.worlds import TICKS, Service, clean

Look = Callable[[], object]


class Looks(Protocol):
    """Prepares looks at one metric."""

    def look(self, trial: Trial, plan: Plan) -> Look:
        """trial has one run, of which all ticks but the last are judged beforehand; what is returned judges the last.

        Calling it again must do the same work again. Raises NotImplementedError for a kind there is no test for.
        """
        ...


PLAN = Plan(TICKS)
SERVICE = Service(0.01, 500.0)
TWENTY: Floats = np.append(0.002 * 1.6 ** np.arange(19), np.inf)
"""Upper edges of a classic histogram of 20 buckets, 2 ms to 9 s."""
ROLLOUTS = 1000
PREPARED = 100


def kinds() -> dict[str, Trial]:
    """One trial of each kind, one run."""
    rng = np.random.default_rng(0)
    fine = clean(rng, 1, SERVICE)
    return {
        "errors": fine,
        "errors, tolerance 25 % + 0.1 pp": replace(
            fine, tolerance=replace(fine.tolerance, relative=0.25, absolute=0.001)
        ),
        "latency, 12 classic buckets": histograms(rng, 1, SERVICE.rps, SAME, CLASSIC),
        "latency, 20 classic buckets": histograms(rng, 1, SERVICE.rps, SAME, TWENTY),
        f"latency, native ({len(NATIVE)} buckets)": histograms(rng, 1, SERVICE.rps, SAME, NATIVE),
        "gauge": streams.gauges(rng, 1, 0.0, 0.8),
        "conversion": streams.conversions(rng, 1, 0.0, hours=TICKS),
        "shadow": streams.shadow(rng, 1, 25.0, 0.02, 0.02),
        "labelled pairs": streams.pairs(rng, 1, 0.03, 0.03),
        "fairness": streams.groups(rng, 1, SERVICE.rps, 0.05, 0.0),
    }


FLEET = ("errors", "errors, tolerance 25 % + 0.1 pp", "errors", "conversion", "latency, 20 classic buckets", "gauge")
"""The six metrics of each of the thousand rollouts."""


def costs(looks: Looks, progress: Progress, *, quick: bool = True) -> list[Table]:
    """Wall-clock times of this machine, one core."""
    each = 0.05 if quick else 0.5
    rows = []
    for name, trial in kinds().items():
        progress.begin(f"cost of {name}", 1)
        try:
            rows.append((name, f"{microseconds(looks.look(trial, PLAN), each):.1f}"))
        except NotImplementedError:
            rows.append((name, NONE))
        progress.advance(1)
    return [Table("Cost of a look", ("metric", "µs per look"), tuple(rows)), fleet(looks, progress)]


def microseconds(look: Look, seconds: float, repeats: int = 5) -> float:
    """The best of some repeats of about so many seconds each: what disturbs only ever adds."""
    look()
    timer = timeit.Timer(look)
    once = max(timer.timeit(3) / 3, 1e-7)
    number = max(int(seconds / once), 1)
    return min(timer.repeat(repeats, number)) / number * 1e6


def fleet(looks: Looks, progress: Progress, rollouts: int = ROLLOUTS, prepared: int = PREPARED) -> Table:
    """One pass over so many rollouts with six metrics each, and what is kept between two passes.

    Only `prepared` rollouts are made, and looked at in turn until there were enough; memory is taken from those.
    """
    trials = kinds()
    progress.begin(f"{rollouts} rollouts", prepared)
    gc.collect()
    tracemalloc.start()
    kept: list[Look] = []
    try:
        for _ in range(prepared):
            kept += [looks.look(trials[name], PLAN) for name in FLEET]
            progress.advance(1)
        gc.collect()
        memory = tracemalloc.get_traced_memory()[0] * rollouts / prepared
    except NotImplementedError:
        return Table(_named(rollouts), ("", "one core"), (("looks per second", NONE), ("memory kept, MB", NONE)))
    finally:
        tracemalloc.stop()
    begun = time.perf_counter()
    for number in range(rollouts * len(FLEET)):
        kept[number % len(kept)]()
    took = time.perf_counter() - begun
    rows = (
        ("looks per second (a look judges one metric)", f"{rollouts * len(FLEET) / took:.0f}"),
        ("seconds for all of them", f"{took:.2f}"),
        ("memory kept, MB", f"{memory / 1e6:.1f}"),
    )
    return Table(_named(rollouts), ("", "one core"), rows)


def _named(rollouts: int) -> str:
    return f"{rollouts} rollouts with {len(FLEET)} metrics"
