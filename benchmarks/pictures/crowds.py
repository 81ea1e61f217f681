"""Pictures of what many releases come to: false alarms, and what it takes to see a regression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.analysis import limits
from benchmarks.analysis.ours import Ours
from benchmarks.analysis.rules import for_counts
from benchmarks.analysis.trials import NEVER, Floats, Ints, Margin, Plan
from benchmarks.analysis.worlds import TICK, TICKS, Effect, Service, clean
from benchmarks.pictures.drawing import Axis, Panel, axis, picture

THIN = Service(0.001, 50.0)
"""Errors 0.1 %, 50 requests per second: at 5 % the candidate sees an error every 400 s."""
SAME = 400
"""Releases of a version that is the same."""
SERVICE = Service(0.01, 100.0)
TOLERANCE = Margin(0.25, 0.001)
WEIGHTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
BAD = 60
"""Releases of a bad version for each weight."""
PATIENCE = 3 * TICKS


def alarms() -> str:
    """The same version released again and again, at thin traffic: how many are taken back, by whom."""
    trial = clean(np.random.default_rng(1), SAME, THIN)
    rules = for_counts(THIN.baseline)
    minutes, shares = axis(0, 60, range(0, 61, 10)), axis(0, 104, (0, 25, 50, 75, 100), " %")
    panel = Panel(48, 220, minutes, shares)
    shapes = panel.frame(
        "identical versions taken back, by a fixed limit and by evidence", "minutes at 5 % of the traffic"
    )
    for decided, kind, text, x, y in (
        (rules["Argo-tuned"](trial), "bad", "four failed checks", 17.0, 56.0),
        (rules["Flagger-tuned"](trial), "warn", "five failed checks", 41.5, 56.0),
        (Ours().rolled_back([trial], Plan(TICKS)), "good", "by evidence", 50.0, 4.0),
    ):
        taken = _taken_back(decided)
        shapes += [panel.line(list(zip((np.arange(TICKS + 1) / 6).tolist(), taken.tolist(), strict=True)), kind)]
        shapes.append(panel.note(x, y, text, kind))
    return picture("A fixed limit takes identical versions back at thin traffic; evidence does not", 324, shapes)


def _taken_back(decided: Ints) -> Floats:
    """Percent of the releases that were taken back after each tick, from none."""
    at = decided[decided != NEVER]
    return np.append(0.0, 100 * np.bincount(at, minlength=TICKS)[:TICKS].cumsum() / len(decided))


@dataclass(frozen=True, slots=True)
class Found:
    """How long a regression takes to be seen, minutes, and how many requests fail because of it, at each weight."""

    minutes: tuple[float, ...]
    failures: tuple[float, ...]
    floor: tuple[float, ...]  # of failures, that no rule is below on average


def found(ratio: float) -> Found:
    """Means over BAD releases at each of the WEIGHTS."""
    minutes, failures, floor = [], [], []
    for number, weight in enumerate(WEIGHTS):
        rng = np.random.default_rng(100 * round(ratio) + number)
        trial = clean(rng, BAD, SERVICE, Effect(ratio), np.full(PATIENCE, weight), tolerance=TOLERANCE)
        decided = Ours().rolled_back([trial], Plan(PATIENCE))
        seconds = TICK * float(np.where(decided == NEVER, PATIENCE, decided + 1).mean())
        mine, theirs = SERVICE.rps * weight, SERVICE.rps * (1 - weight)
        truth = (ratio * SERVICE.baseline, SERVICE.baseline)
        minutes.append(seconds / 60)
        failures.append(seconds * mine * (truth[0] - truth[1]))
        nats = limits.counts((mine, theirs), truth, TOLERANCE)
        floor.append(limits.excess_failures(nats, mine, truth))
    return Found(tuple(minutes), tuple(failures), tuple(floor))


def traffic() -> str:
    """More traffic for the candidate buys time. It does not buy fewer failures."""
    shown = Axis(WEIGHTS[0], WEIGHTS[-1], tuple((weight, f"{100 * weight:g} %") for weight in WEIGHTS), is_log=True)
    top = Panel(48, 170, shown, axis(0.15, 130, (0.2, 1, 5, 20, 60), is_log=True))
    low = Panel(266, 170, shown, axis(0, 130, (0, 25, 50, 75, 100, 125)))
    shapes = top.frame("minutes until it is taken back, on average")
    shapes += low.frame("requests that fail because of it", "the candidate's share of the traffic")
    for ratio, kind, text in ((2.0, "warn", "twice as many errors"), (5.0, "bad", "five times as many")):
        seen = found(ratio)
        for panel, values in ((top, seen.minutes), (low, seen.failures)):
            shapes.append(panel.line(list(zip(WEIGHTS, values, strict=True)), kind))
            shapes += [panel.dot(weight, value, kind, 3.5) for weight, value in zip(WEIGHTS, values, strict=True)]
            shapes.append(panel.note(WEIGHTS[1], values[1], text, kind, dx=4, dy=-10))
        shapes.append(low.line(list(zip(WEIGHTS, seen.floor, strict=True)), f"{kind} dashed"))
    shapes.append(low.note(0.17, 100, "dashed: no rule can do better", "soft end"))
    return picture("Time to detect, and failed requests, against the candidate's share of the traffic", 488, shapes)
