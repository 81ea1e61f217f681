"""Our engine as the tables see it: the one module of the benchmarks that knows modelrollout's tests."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.analysis.costs import Look
from benchmarks.analysis.trials import Engine, Outcome, Plan, Trial


class Ours:
    """modelrollout.analysis on batches of simulated releases."""

    def judge(self, trials: Sequence[Trial], plan: Plan) -> Outcome:
        """What the operator would have decided, run by run."""
        raise NotImplementedError

    def look(self, trial: Trial, plan: Plan) -> Look:
        """A look at the last tick of one run, from the evidence of those before it."""
        raise NotImplementedError


def engine() -> Engine:
    """The engine of this source tree."""
    return Ours()
