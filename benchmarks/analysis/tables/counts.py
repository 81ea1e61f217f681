"""T1 and T2: errors without noise, 5 % of the traffic to the candidate, one look per tick for an hour."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np

from benchmarks.analysis import limits, rules
from benchmarks.analysis.measure import Bench, Harm, Result, Rule, bar, ours, run
from benchmarks.analysis.report import NONE, Table, against_limit, false_rate, median_time, number
from benchmarks.analysis.trials import Counts, Floats, Plan
from benchmarks.analysis.worlds import SERVICES, TICK, TICKS, Effect, Service, clean

SHARE = 0.05
PLAN = Plan(TICKS)
DECLARED = Plan(TICKS, declared_horizon=True)
EFFECTS = {
    "×2": Effect(ratio=2.0),
    "×1.5": Effect(ratio=1.5),
    "×5": Effect(ratio=5.0),
    "+5pp": Effect(plus=0.05),
}
COLUMNS = tuple(str(service) for service in SERVICES)


def rules_for(bench: Bench, service: Service) -> dict[str, Rule[Counts]]:
    """Ours with and without a declared horizon, and the other tools'."""
    return {
        "**ours**": ours(bench.engine, PLAN),
        "**ours, horizon declared**": ours(bench.engine, DECLARED),
        **rules.for_counts(service.baseline),
    }


def false_rollbacks(bench: Bench, runs: int, name: str = "T1") -> dict[Service, dict[str, Result]]:
    """Every rule on releases that are fine."""
    return {
        service: run(
            bench,
            f"{name} A/A {service}",
            partial(clean, service=service),
            rules_for(bench, service),
            runs,
            ticks=TICKS,
            tick=TICK,
        )
        for service in SERVICES
    }


def t1(bench: Bench) -> list[Table]:
    """False rollbacks in an hour of clean A/A."""
    runs = bench.size.fine
    seen = false_rollbacks(bench, runs)
    rows = tuple(
        (rule, *(false_rate(seen[service].get(rule)) for service in SERVICES)) for rule in rules_for(bench, SERVICES[0])
    )
    most = bar(runs, PLAN.false_rollback_rate)
    return [
        Table(
            f"T1 (3.1): false rollbacks in one hour, %, clean A/A, {runs} runs each",
            ("rule \\ errors / requests per second", *COLUMNS),
            rows,
            (f"At a true rate of 1 % at most {most} runs ({100 * most / runs:.2f} %) in 999 of 1000 tables.",),
        )
    ]


def limit_rate(service: Service, effect: Effect, share: float = SHARE) -> float:
    """Nats per second between a release with this effect and the nearest one that is fine."""
    truth = (effect.ratio * service.baseline + effect.plus, service.baseline)
    return limits.counts((share * service.rps, (1 - share) * service.rps), truth)


def excess(service: Service, effect: Effect) -> Harm[Counts]:
    """Requests that fail because of the candidate: expected beyond stable's rate."""
    more = (effect.ratio - 1) * service.baseline + effect.plus

    def of(trial: Counts) -> Floats:
        return np.asarray(trial.n_candidate * more, dtype=np.float64)

    return Harm(of)


def t2(bench: Bench) -> list[Table]:
    """Time to detect, harm until then, and mean time over the limit's."""
    fine = false_rollbacks(bench, bench.size.bad, "T2")
    most = bar(bench.size.bad, PLAN.false_rollback_rate) / bench.size.bad
    tables = []
    for name, effect in EFFECTS.items():
        seen = {
            service: run(
                bench,
                f"T2 {name} {service}",
                partial(clean, service=service, effect=effect),
                rules_for(bench, service),
                bench.size.bad,
                ticks=TICKS,
                tick=TICK,
                harm=excess(service, effect),
            )
            for service in SERVICES
        }
        limit = tuple(
            f"{number(limits.seconds(limit_rate(service, effect)))} / {number(_least_harm(service, effect))}"
            for service in SERVICES
        )
        rows = [("limit (s / harm)", *limit)]
        rows += [
            (rule, *(cell(service, effect, seen[service], fine[service], rule, most) for service in SERVICES))
            for rule in rules_for(bench, SERVICES[0])
        ]
        tables.append(
            Table(
                f"T2 (3.2): {name}, median seconds to detect (% found) / excess failed requests / mean time to limit, "
                f"{bench.size.bad} runs each",
                ("rule \\ errors / requests per second", *COLUMNS),
                tuple(rows),
                (
                    "!: not a detection, the same rule takes back more than 1 % of fine releases there.",
                    "The limit counts the power that was reached. Below 50 s, ticks of 10 s are the floor.",
                ),
            )
        )
    return tables


def _least_harm(service: Service, effect: Effect) -> float:
    truth = (effect.ratio * service.baseline + effect.plus, service.baseline)
    return limits.excess_failures(limit_rate(service, effect), SHARE * service.rps, truth)


def cell(
    service: Service,
    effect: Effect,
    seen: Mapping[str, Result],
    fine: Mapping[str, Result],
    rule: str,
    most: float,
) -> str:
    """One rule in one world; marked where it does not keep its false rollbacks below the bar."""
    result = seen.get(rule)
    if result is None:
        return NONE
    trigger_happy = "!" if fine[rule].share > most else ""
    ratio = against_limit(result, limit_rate(service, effect), PLAN.false_rollback_rate)
    return f"{median_time(result)}{trigger_happy} / {number(float(result.harm.mean()))} / {ratio}"
