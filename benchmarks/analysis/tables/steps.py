"""T4: weights that change, errors that drift for both arms, and regressions that begin in mid-rollout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks.analysis import rules
from benchmarks.analysis.measure import Bench, Result, Rule, ours, run
from benchmarks.analysis.report import NONE, Table, false_rate, median_time
from benchmarks.analysis.trials import Counts, Floats, Plan
from benchmarks.analysis.worlds import FINE, TICK, TICKS, Effect, Service, clean, rising, step_starts, weights

STEPPED = weights(0.05, 0.10, 0.25, 0.50)
CONSTANT = weights(0.05)
HALF = TICKS // 2
LOW, HIGH = Service(0.01, 50.0), Service(0.01, 500.0)
SHOWN = ("Flagger-tuned", "Argo-tuned", "Argo-ratio2", "Kayenta-like")


@dataclass(frozen=True, slots=True)
class Case:
    """A row of the table."""

    name: str
    service: Service
    share: Floats
    effect: Effect = FINE
    drift: Floats | None = None

    @property
    def runs_are_fine(self) -> bool:
        """Every rollback is a false one."""
        return self.effect.is_none


CASES = (
    Case("A/A, false %", LOW, STEPPED),
    Case("A/A, shared drift ×3 over the hour, false %", LOW, STEPPED, drift=rising(3.0)),
    Case("×2 from start", LOW, STEPPED, Effect(ratio=2.0)),
    Case("×2 from minute 30", LOW, STEPPED, Effect(ratio=2.0, onset=HALF)),
    Case("×5 from minute 30", LOW, STEPPED, Effect(ratio=5.0, onset=HALF)),
    Case("×2 from minute 30, constant 5 %", LOW, CONSTANT, Effect(ratio=2.0, onset=HALF)),
    Case("×5 from minute 30, constant 5 %, 1%/500", HIGH, CONSTANT, Effect(ratio=5.0, onset=HALF)),
)


def rules_for(bench: Bench, case: Case) -> dict[str, Rule[Counts]]:
    """Ours, told when the weight changes, and the others."""
    others = rules.for_counts(case.service.baseline)
    starts = step_starts(case.share)
    return {
        "**ours**": ours(bench.engine, Plan(TICKS, step_starts=starts)),
        "**ours, horizon declared**": ours(bench.engine, Plan(TICKS, step_starts=starts, declared_horizon=True)),
        **{name: others[name] for name in SHOWN},
    }


def t4(bench: Bench) -> list[Table]:
    """5, 10, 25, 50 % for a quarter of an hour each; delays are counted from the onset."""
    rows = []
    for case in CASES:
        seen = run(
            bench,
            f"T4 {case.name}",
            partial(clean, service=case.service, effect=case.effect, share=case.share, drift=case.drift),
            rules_for(bench, case),
            bench.size.fine if case.runs_are_fine else bench.size.bad,
            ticks=TICKS,
            tick=TICK,
        )
        rows.append((case.name, *(_cell(case, seen.get(rule)) for rule in rules_for(bench, case))))
    return [
        Table(
            f"T4 (3.4): steps 5/10/25/50 % of 15 min, 1%/50 unless said: median delay after onset, s (% found); "
            f"{bench.size.fine} and {bench.size.bad} runs",
            ("case", *rules_for(bench, CASES[0])),
            tuple(rows),
            ("Releases taken back before the onset are not found after it.",),
        )
    ]


def _cell(case: Case, result: Result | None) -> str:
    if result is None:
        return NONE
    return false_rate(result) if case.runs_are_fine else median_time(result.after(case.effect.onset))
