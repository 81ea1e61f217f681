"""T3: errors as pods really make them: shared load and bursts, clusters, pods that wander or burst by themselves."""

from __future__ import annotations

from functools import partial

from benchmarks.analysis import rules
from benchmarks.analysis.measure import Bench, Result, Rule, bar, ours, run
from benchmarks.analysis.report import Table, false_rate, median_time
from benchmarks.analysis.trials import Counts, Plan
from benchmarks.analysis.worlds import FINE, NOISES, PODS, TICK, TICKS, Effect, Service, noisy

PLAN = Plan(TICKS)
CELLS = (Service(0.01, 50.0), Service(0.01, 500.0), Service(0.01, 5000.0), Service(0.001, 500.0))
SHOWN = ("Flagger-tuned", "Argo-tuned", "Argo-ratio2", "Kayenta-like")
EFFECTS = {"×2": Effect(ratio=2.0), "×5": Effect(ratio=5.0)}


def rules_for(bench: Bench, service: Service) -> dict[str, Rule[Counts]]:
    """Ours, which sees the pods and their history, and those that see the arms."""
    others = rules.for_counts(service.baseline)
    return {"**ours**": ours(bench.engine, PLAN), **{name: others[name] for name in SHOWN}}


def _seen(bench: Bench, effect_name: str, effect: Effect, runs: int) -> dict[tuple[str, Service], dict[str, Result]]:
    return {
        (noise, service): run(
            bench,
            f"T3 {effect_name} {noise} {service}",
            partial(noisy, service=service, noise=NOISES[noise], effect=effect),
            rules_for(bench, service),
            runs,
            ticks=TICKS,
            tick=TICK,
        )
        for noise in NOISES
        for service in CELLS
    }


def t3(bench: Bench) -> list[Table]:
    """False rollbacks with noise, and how soon real regressions are seen in it."""
    runs = bench.size.noisy or bench.size.fine
    cells = ", ".join(str(service) for service in CELLS)
    fine = _seen(bench, "A/A", FINE, runs)
    most = bar(runs, PLAN.false_rollback_rate)
    tables = [
        Table(
            f"T3 (3.3): false rollbacks in one hour, %, {PODS} pods, in order {cells}, {runs} runs each",
            ("rule", *NOISES),
            tuple(
                (
                    rule,
                    *(" ".join(false_rate(fine[noise, service].get(rule)) for service in CELLS) for noise in NOISES),
                )
                for rule in rules_for(bench, CELLS[0])
            ),
            (f"At a true rate of 1 % at most {most} runs ({100 * most / runs:.2f} %) in 999 of 1000 tables.",),
        )
    ]
    for name, effect in EFFECTS.items():
        bad = _seen(bench, name, effect, bench.size.bad)
        tables.append(
            Table(
                f"T3 (3.3): {name}, median seconds to detect (% found), same order, {bench.size.bad} runs each",
                ("rule", *NOISES),
                tuple(
                    (
                        rule,
                        *(
                            " ; ".join(_marked(bad, fine, (noise, service), rule, most / runs) for service in CELLS)
                            for noise in NOISES
                        ),
                    )
                    for rule in rules_for(bench, CELLS[0])
                ),
                ("!: not a detection, the same rule takes back more than 1 % of fine releases there.",),
            )
        )
    return tables


def _marked(
    bad: dict[tuple[str, Service], dict[str, Result]],
    fine: dict[tuple[str, Service], dict[str, Result]],
    world: tuple[str, Service],
    rule: str,
    most: float,
) -> str:
    mark = "!" if rule in fine[world] and fine[world][rule].share > most else ""
    return median_time(bad[world].get(rule)) + mark
