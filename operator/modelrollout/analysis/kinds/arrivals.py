"""Whether requests reach the candidate in the proportion that was asked of the gateway. Pure.

A route's status says that a gateway accepted it, never that its weights are followed. The counters of both arms, which
are read for the metrics anyway, do. Real clusters are never exact, so

- the odds may be a fourth off: retries, requests that never end, answers that a gateway gives by itself;
- ticks count once the exposure has been in force for a tick and for a scrape: connections and streams take a while;
- each pod may have a request a second that no gateway sent: probes and scrapes, which many servers count as well;
- a tick in which more than a tenth of an arm's pods come or go does not count: their requests are seen in part only;
- no tick, and no scrape, is enough by itself: bursts, and scrapes at different moments, shift requests between ticks.

The evidence is that of the moment, not the highest so far: where somebody mends the gateway, the test sees it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from modelrollout.analysis.evidence.ledger import Floats, Ledger
from modelrollout.analysis.evidence.look import Arrivals, Intended, LookStart, Missing
from modelrollout.analysis.evidence.tracks import Keep
from modelrollout.analysis.samples.counters import (
    ALIVE_SCRAPES,
    Samples,
    SampleWindow,
    Scrapes,
    scrapes_of,
    total_growth,
)
from modelrollout.sequential import arrivals as tests
from modelrollout.sequential.wealth import Path, Wealth, grow

FALSE_ALARM_RATE = 0.001
"""Of a whole rollout in which requests go as intended, all metrics together."""
ALLOWED = 1.25
"""Factor by which the odds may differ."""
FAR = 2.0
"""Factor of the odds beyond which so many more users meet the candidate that it is taken back."""
OWN_REQUESTS = 1.0
"""Requests per second and pod that may be its own: with many pods and few users they are most of what is counted."""
MOST_AT_ONCE = -math.log(FALSE_ALARM_RATE)
"""ln of what one tick, or all ticks of one scrape, may show at most. Only a part is ever staked, so it takes two."""
FEW_PODS = 0.1
"""Fraction of an arm's pods that may come or go without a tick being left out."""
LESS, MORE, FAR_MORE = "less", "more", "far more"
SIDES: Mapping[str, tuple[float, Floats]] = {
    LESS: (1 / ALLOWED, tests.FEWER),
    MORE: (ALLOWED, tests.MORE),
    FAR_MORE: (FAR, tests.MORE),
}


@dataclass(frozen=True, slots=True)
class Arriving:
    """The arrivals at this look; None where no share was intended. `keep`: the state for the metric's checkpoint."""

    now: Arrivals | None
    keep: Keep


def nothing_arrives(start: LookStart) -> Arriving:
    """Where no share is intended, or the arms are not compared: what was known stays known."""
    return Arriving(None, lambda _: {name: kept for name, kept in start.ledger.items() if name.startswith("arrivals.")})


def arriving(start: LookStart, edges: Floats, candidate: Floats, stable: Floats, *arms: Scrapes) -> Arriving:
    """The arrivals after the ticks between `edges`, of whose requests each arm had so many."""
    if (intended := start.intended) is None:
        return nothing_arrives(start)
    spacing = max(arm.spacing for arm in arms if arm.spacing < math.inf) if _are_scraped(arms) else start.course.tick
    counts = _is_settled(start, intended, edges, spacing) & ~_in_flux(edges, spacing, arms)
    mine, theirs = np.where(counts, candidate, 0.0), np.where(counts, stable, 0.0)
    restarts = _restarts(start, edges)
    most = MOST_AT_ONCE * np.minimum(np.diff(edges) / spacing, 1.0)
    users = [_of_users(counted, edges, arm) for counted, arm in ((mine, arms[0]), (theirs, arms[-1]))]
    paths: dict[str, Path] = {}
    for side, (factor, bets) in SIDES.items():
        both = (mine, users[1]) if side == LESS else (users[0], theirs)
        factors = np.minimum(tests.beyond(both[0], both[1], intended.odds * factor, bets), most[:, None])
        paths[side] = grow(_kept_wealth(start.ledger, side, bets.size), factors, restarts, tests.WEIGHTS)
    known = _kept_counts(start.ledger, intended)

    def keep(ticks: int) -> Ledger:
        wealths = {side: path.after(ticks) for side, path in paths.items()}
        seen = known + np.array([mine[:ticks].sum(), theirs[:ticks].sum()])
        kept = {f"arrivals.{side}": np.append(wealth.bets, wealth.cash) for side, wealth in wealths.items()}
        return {**kept, "arrivals.step": np.append(seen, intended.since)}

    shown = {side: path.last for side, path in paths.items()}
    return Arriving(Arrivals(intended, float(known[0] + mine.sum()), float(known[1] + theirs.sum()), shown), keep)


def alone(start: LookStart, missing: Missing, stable: Sequence[Samples], window: SampleWindow) -> Missing:
    """The same, with stable's arrivals: without any sample of the candidate they show that it gets none."""
    arm = scrapes_of([stable], window)
    if arm is None or start.intended is None or start.metric.tolerance is None:
        return missing
    edges = start.course.edges(start.first, min(arm.frontier, start.end))
    grown = total_growth(stable, edges, arm, window)
    return replace(missing, arrivals=arriving(start, edges, np.zeros(len(grown)), grown, arm).now)


def _of_users(counted: Floats, edges: Floats, arm: Scrapes) -> Floats:
    """The requests of each tick that cannot be the pods' own."""
    return np.maximum(counted - OWN_REQUESTS * len(arm.processes) * np.diff(edges), 0.0)


def _are_scraped(arms: tuple[Scrapes, ...]) -> bool:
    return any(arm.spacing < math.inf for arm in arms)


def _is_settled(start: LookStart, intended: Intended, edges: Floats, spacing: float) -> npt.NDArray[np.bool_]:
    return edges[:-1] >= intended.since + max(start.course.tick, spacing) - 1e-6


def _in_flux(edges: Floats, spacing: float, arms: tuple[Scrapes, ...]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(edges) - 1, dtype=np.bool_)
    for arm in arms:
        # Until Prometheus has found an arm's pods, requests to the other one say nothing of its share.
        found |= edges[1:] <= min(arm.first.values(), default=-math.inf) - spacing
        moving = np.zeros(len(edges) - 1)
        for begins, ends in _unseen(arm, spacing):
            moving += (edges[1:] > begins) & (edges[:-1] < ends)
        found |= moving > FEW_PODS * len(arm.processes)
    return found


def _unseen(arm: Scrapes, spacing: float) -> Iterator[tuple[float, float]]:
    """When pods of an arm may serve without being counted: before they are warm, between two scrapes that lie far
    apart (a series that began meanwhile has lost what it counted), and after the last one."""
    for target, warm in arm.warm.items():
        yield arm.first[target] - spacing, warm
    newest = max((process.known for process in arm.processes.values()), default=0.0)
    for process in arm.processes.values():
        gaps = np.flatnonzero(np.diff(process.scrapes) > ALIVE_SCRAPES * spacing)
        yield from zip(process.scrapes[gaps].tolist(), process.scrapes[gaps + 1].tolist(), strict=True)
        if process.known < newest - ALIVE_SCRAPES * spacing:
            yield process.known, process.known + spacing


def _restarts(start: LookStart, edges: Floats) -> Floats:
    onsets, steps = start.course.onsets(is_late_expected=True), start.course.steps
    restarts = onsets.restarts(edges, steps)
    if restarts.size and f"arrivals.{LESS}" not in start.ledger:
        restarts[0] += onsets.due(float(edges[0]), steps)
    return restarts


def _kept_wealth(ledger: Ledger, side: str, bets: int) -> Wealth:
    kept = ledger.get(f"arrivals.{side}")
    return Wealth(kept[:-1], float(kept[-1])) if kept is not None and kept.size == bets + 1 else Wealth.untouched(bets)


def _kept_counts(ledger: Ledger, intended: Intended) -> Floats:
    """Those since this exposure came into force."""
    kept = ledger.get("arrivals.step")
    return kept[:2] if kept is not None and kept.size == 3 and kept[2] == intended.since else np.zeros(2)
