"""T5: latency from buckets, classic and native."""

from __future__ import annotations

from functools import partial

import numpy as np

from benchmarks.analysis import limits, rules
from benchmarks.analysis.latencies import (
    CLASSIC,
    NATIVE,
    SAME,
    SHARE,
    SLOWER,
    Slower,
    drifting,
    histograms,
    plain,
    shares,
)
from benchmarks.analysis.measure import Bench, Harm, Result, Rule, bar, ours, run
from benchmarks.analysis.report import NONE, Table, against_limit, false_rate, median_time, number
from benchmarks.analysis.trials import Floats, Histograms, Plan
from benchmarks.analysis.worlds import TICK, TICKS

PLAN = Plan(TICKS)
RATES = (50.0, 500.0, 5000.0)
EDGES = {"classic": CLASSIC, "native": NATIVE}
NATIVE_RATES = RATES[:2]
"""At 5,000 requests per second native histograms say nothing new, and take long to simulate."""
DRIFT_FACTOR = 1.1


def rules_for(bench: Bench, kind: str) -> dict[str, Rule[Histograms]]:
    """Ours on the buckets, the others on what histogram_quantile makes of them."""
    return {"**ours**": ours(bench.engine, PLAN), **rules.for_latency(EDGES[kind], native=kind == "native")}


def limit_rate(slower: Slower, edges: Floats, rps: float) -> float:
    """Nats per second between the bucket distributions."""
    return limits.latency((SHARE * rps, (1 - SHARE) * rps), shares(slower.survival, edges), shares(plain, edges))


def exposed(trial: Histograms) -> Floats:
    """Requests that the candidate answered."""
    return np.asarray(trial.candidate.sum(axis=2), dtype=np.float64)


def _seen(bench: Bench, kind: str, rps: float, slower: Slower, runs: int) -> dict[str, Result]:
    return run(
        bench,
        f"T5 {kind} {slower.name} {rps:.0f}",
        partial(histograms, rps=rps, slower=slower, edges=EDGES[kind]),
        rules_for(bench, kind),
        runs,
        ticks=TICKS,
        tick=TICK,
        harm=Harm(exposed),
    )


def t5(bench: Bench) -> list[Table]:
    """Lognormal latency; the candidate's tail, or all of it, is slower."""
    return [*(_table(bench, kind) for kind in EDGES), _drift(bench)]


def _table(bench: Bench, kind: str) -> Table:
    names = tuple(rules_for(bench, kind))
    rows = []
    runs = bench.size.noisy or bench.size.fine
    fine: dict[float, dict[str, Result]] = {}
    rates = RATES if kind == "classic" else NATIVE_RATES
    for rps in rates:
        fine[rps] = _seen(bench, kind, rps, SAME, runs)
        rows.append((f"A/A, R={rps:.0f}, false %", NONE, *(false_rate(fine[rps].get(name)) for name in names)))
    most = bar(runs, PLAN.false_rollback_rate) / runs
    for slower in SLOWER:
        for rps in rates:
            seen = _seen(bench, kind, rps, slower, bench.size.bad)
            rate = limit_rate(slower, EDGES[kind], rps)
            cells = [_cell(seen.get(name), rate, name in fine[rps] and fine[rps][name].share > most) for name in names]
            rows.append((f"{slower.name}, R={rps:.0f}", number(limits.seconds(rate)), *cells))
    return Table(
        f"T5 (3.5): {kind} buckets, median seconds to detect (% found) / candidate's requests until then / mean time "
        f"to limit; {runs} and {bench.size.bad} runs",
        ("case", "limit, s", *names),
        tuple(rows),
        ("!: not a detection, the same rule takes back more than 1 % of fine releases there.",),
    )


def _cell(result: Result | None, rate: float, trigger_happy: bool) -> str:
    if result is None:
        return NONE
    mark = "!" if trigger_happy else ""
    ratio = against_limit(result, rate, PLAN.false_rollback_rate)
    return f"{median_time(result)}{mark} / {result.harm.mean():.0f} / {ratio}"


def _drift(bench: Bench) -> Table:
    """Both arms become slower and faster together."""
    rows = []
    runs = bench.size.noisy or bench.size.fine
    names = tuple(rules_for(bench, "classic"))
    for rps in NATIVE_RATES:
        for factor, some_runs in ((1.0, runs), (DRIFT_FACTOR, bench.size.bad)):
            seen = run(
                bench,
                f"T5 drift ×{factor} {rps:.0f}",
                partial(drifting, rps=rps, factor=factor, edges=CLASSIC),
                rules_for(bench, "classic"),
                some_runs,
                ticks=TICKS,
                tick=TICK,
            )
            say = false_rate if factor == 1.0 else median_time
            what = "A/A, false %" if factor == 1.0 else f"all ×{factor:.2f}, s"
            rows.append((f"{what}, R={rps:.0f}", *(say(seen.get(name)) for name in names)))
    return Table(
        f"T5 (3.5): latency that drifts for both arms, classic buckets; {runs} and {bench.size.bad} runs",
        ("case", *names),
        tuple(rows),
    )
