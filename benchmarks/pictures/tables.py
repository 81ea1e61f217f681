"""What plans can see, as tables: computed with what the operator itself says before a release."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from benchmarks.analysis import latencies, limits
from benchmarks.analysis.trials import Margin
from benchmarks.pictures.lab import ERRORS, analysis
from benchmarks.pictures.sayings import DEFAULT_EDGES, FITTING
from modelrollout.analysis import wording
from modelrollout.analysis.evidence.look import Prior
from modelrollout.analysis.kinds.edges import choose_edges
from modelrollout.analysis.kinds.ratio_bounds import bounds_of
from modelrollout.analysis.sensitivity.detectable import Stretch, smallest_share
from modelrollout.api.metric import Tolerance
from modelrollout.sequential.noise import Mode

QUARTER = 900.0
"""Seconds of each step."""
BASELINES = (0.0, 0.001, 0.01, 0.05)
TRAFFIC = (5.0, 50.0, 500.0)
ALPHA = 0.01
NATIVE = tuple(latencies.NATIVE[:-1].tolist())
LATENCIES = (0.14, 0.26)
"""Seconds, where the edges are looked at."""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """As Markdown; all but the first column to the right."""
    rule = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def sees() -> str:
    """The smallest share of errors that is found, for usual share, traffic and step."""
    (metric,) = analysis(ERRORS).metrics
    tolerated, _ = bounds_of(metric)
    plans = ([Stretch(0.05, QUARTER)], [Stretch(0.25, QUARTER)], [Stretch(w, QUARTER) for w in (0.05, 0.25, 0.5)])
    rows = []
    for share in BASELINES:
        for rps in TRAFFIC:
            usual = Prior(mode=Mode.PLAIN, share=share, rate=rps)
            found = [_shown(smallest_share(usual, tolerated, ALPHA, plan)) for plan in plans]
            rows.append((wording.share(share), f"{rps:g}/s", *found))
    return table(("usually", "requests", "5 %, 15 min", "25 %, 15 min", "5 + 25 + 50 %"), rows)


def _shown(share: float) -> str:
    return "nothing" if math.isinf(share) else wording.share(share)


def floor() -> str:
    """Failed requests that any rule with 1 % false rollbacks costs on average, without a tolerance."""
    rows = []
    for ratio in (1.5, 2.0, 5.0):
        cells = []
        for weight in (0.01, 0.05, 0.25, 0.5):
            truth = (ratio * 1e-4, 1e-4)
            nats = limits.counts((weight, 1 - weight), truth, Margin())
            cells.append(f"{limits.excess_failures(nats, weight, truth, ALPHA):.0f}")
        rows.append((f"{ratio:g} times as many errors", *cells))
    return table(("the candidate has", "at 1 %", "at 5 %", "at 25 %", "at 50 %"), rows)


def edges() -> str:
    """From where on a slower candidate is sure to show, by bucket edges and tolerance, for a latency about 200 ms."""
    rows = []
    for name, own in (("default buckets", DEFAULT_EDGES), ("buckets that fit", FITTING), ("native histogram", NATIVE)):
        cells = []
        for relative in ("10%", "20%", "50%"):
            pairs = choose_edges(own, own, Tolerance.model_validate({"relative": relative}), None, None)
            steps = [
                pairs.all[far] / pairs.all[near]
                for near, far in zip(pairs.near, pairs.far, strict=True)
                if LATENCIES[0] <= pairs.all[near] <= LATENCIES[1]
            ]
            cells.append(f"{min(steps):.2g} times")
        rows.append((name, *cells))
    return table(("edges", "tolerance 10 %", "20 %", "50 %"), rows)


TABLES: Mapping[str, Callable[[], str]] = {"sees": sees, "floor": floor, "edges": edges}
"""By the name that the page has them under."""
