"""Pictures of what the evidence does in the course of a release, as a look every 15 s sees it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element

import numpy as np

from benchmarks.analysis.trials import Floats
from benchmarks.pictures.drawing import FAR, Axis, Panel, Points, axis, picture
from benchmarks.pictures.lab import ERRORS, SCRAPE, Release, analysis, drawn, percent
from modelrollout.analysis.evidence.look import Prior
from modelrollout.api.status import MetricVerdict, Verdict
from modelrollout.sequential.noise import Mode

USUAL = 0.01
"""Stable's share of errors."""
RPS = 100.0
STEPS = (0.05, 0.25, 0.5)
SHARES = axis(0, 118, (0, 25, 50, 75, 100), " %")
EVIDENCE = "evidence: how much of what a rollback takes"


@dataclass(frozen=True, slots=True)
class Seen:
    """A release: its looks (seconds, verdict), and the error rates of candidate and stable per minute."""

    looks: Sequence[tuple[float, MetricVerdict]]
    mine: Floats
    theirs: Floats

    @property
    def end(self) -> float:
        """The minute in which traffic was taken back; infinite when it never was."""
        return next((at / 60 for at, told in self.looks if told.verdict is Verdict.FAIL), math.inf)

    @property
    def evidence(self) -> Points:
        """Minutes and percent, up to the rollback."""
        return [(0.0, 0.0), *((at / 60, percent(told.evidence)) for at, told in self.looks if at / 60 <= self.end)]

    @property
    def ruled_out(self) -> Points:
        """The same of what was ruled out."""
        return [(0.0, 0.0), *((at / 60, percent(told.ruled_out)) for at, told in self.looks if at / 60 <= self.end)]


def released(seed: int, weight: Floats, mine: Floats, usual: Floats, steps: tuple[float, ...] = ()) -> Seen:
    """A release by chance; arrays per scrape: the candidate's weight (0–1) and both arms' shares of errors."""
    store, (bad, total, usually, all_) = drawn(np.random.default_rng(seed), RPS, weight, mine, usual)
    seconds = len(weight) * SCRAPE
    one = Release(analysis(ERRORS), store, steps, planned=seconds, usual=Prior(mode=Mode.PLAIN, share=USUAL, rate=RPS))
    return Seen(one.looks(seconds), _by_minute(bad, total), _by_minute(usually, all_))


def _by_minute(bad: Floats, total: Floats) -> Floats:
    each = round(60 / SCRAPE)
    return np.asarray(bad.reshape(-1, each).sum(axis=1) / np.maximum(total.reshape(-1, each).sum(axis=1), 1))


def _scrapes(minutes: float) -> int:
    return round(minutes * 60 / SCRAPE)


def evidence() -> str:
    """Three candidates, looked at 48 times: what speaks against each, and what was ruled out."""
    minutes = axis(0, 12, range(0, 13, 2))
    top, low = Panel(48, 190, minutes, SHARES), Panel(288, 130, minutes, SHARES)
    shapes = [*top.frame(EVIDENCE), top.across(100, "bad dashed")]
    shapes.append(top.note(12, 100, "traffic is taken back", "bad end", dy=-7))
    shapes += low.frame("ruledOut: how much of what moving on takes", "minutes since the step began")
    shapes += [low.across(100, "good dashed"), low.note(12, 100, "the step may end", "good end", dy=-7)]
    weight, usual = np.full(_scrapes(12), 0.1), np.full(_scrapes(12), USUAL)
    # Each candidate's line: how many times stable's errors, its kind, its label and where that stands.
    for factor, kind, text, x, y in (
        (1.0, "good", "as good as stable", 8.0, 7.0),
        (2.0, "warn", "twice as many errors", 6.9, 60.0),
        (5.0, "bad", "five times as many", 0.65, 80.0),
    ):
        seen = released(56, weight, factor * usual, usual)
        shapes += [top.line(seen.evidence, kind), low.line(seen.ruled_out, kind), top.note(x, y, text, kind)]
        if seen.end < math.inf:
            shapes.append(top.dot(seen.end, 100, kind))
    return picture("Evidence over time of a good candidate and of two bad ones", 470, shapes)


def incident() -> str:
    """Something that both arms use breaks for four minutes, while the weights rise."""
    each = 10
    usual = np.full(_scrapes(3 * each), USUAL)
    usual[_scrapes(13) : _scrapes(17)] *= 8
    seen = released(11, *_stepped(usual, usual, each))
    top, low = _panels(axis(0, 30, range(0, 31, 5)), _rates(0.095, 0.02))
    shapes = [*_frames(top, low), *_steps(top, low, each), *_errors(top, seen)]
    shapes.append(top.across(2 * USUAL, "soft dashed"))
    shapes.append(top.note(30, 2 * USUAL, "a limit at twice the usual", "soft end", dy=-7))
    shapes.append(top.note(17.2, 0.075, "what both use breaks", "soft"))
    shapes += [low.line(seen.evidence, "good"), low.note(15, 45, "both suffer alike", "good middle")]
    return picture("An incident that both versions share leaves the evidence where it was", 450, shapes)


def late() -> str:
    """A candidate that is fine for twenty minutes, and then is not."""
    each, begins = 15, 20
    usual = np.full(_scrapes(3 * each), USUAL)
    mine = usual.copy()
    mine[_scrapes(begins) :] *= 2.5
    seen = released(5, *_stepped(mine, usual, each))
    if math.isinf(seen.end):
        raise ValueError("this candidate has to be found out")
    top, low = _panels(axis(0, 45, range(0, 46, 5)), _rates(0.042, 0.01))
    shapes = [*_frames(top, low), *_steps(top, low, each), *_errors(top, seen)]
    shapes += [panel.upright(begins, "soft dashed") for panel in (top, low)]
    shapes.append(top.note(begins, 0.0375, "from here on 2.5 times the errors", "soft", dx=8))
    shapes += [low.across(100, "bad dashed"), low.line(seen.evidence, "bad"), low.dot(seen.end, 100, "bad")]
    shapes.append(low.note(seen.end, 65, f"taken back {60 * (seen.end - begins):.0f} s later", "bad", dx=10))
    return picture("A regression that begins late is found soon after it begins", 450, shapes)


def _stepped(mine: Floats, usual: Floats, each: float) -> tuple[Floats, Floats, Floats, tuple[float, ...]]:
    weight = np.repeat(np.array(STEPS), _scrapes(each))
    return weight, mine, usual, tuple(60.0 * each * at for at in range(1, len(STEPS)))


def _rates(most: float, every: float) -> Axis:
    ticks = [every * at for at in range(int(most / every) + 1)]
    return Axis(0, most, tuple((tick, f"{100 * tick:g} %") for tick in ticks))


def _panels(minutes: Axis, rates: Axis) -> tuple[Panel, Panel]:
    return Panel(66, 190, minutes, rates, FAR), Panel(304, 94, minutes, SHARES)


def _frames(top: Panel, low: Panel) -> list[Element]:
    shapes = [*top.frame("share of errors, each minute"), *top.legend(("candidate", "warn"), ("stable", "stable"))]
    return shapes + low.frame(EVIDENCE, "minutes since the first step began")


def _steps(top: Panel, low: Panel, each: float) -> list[Element]:
    shapes = [top.above(at * each, f"{100 * weight:g} % of the traffic") for at, weight in enumerate(STEPS)]
    return shapes + [panel.upright(at * each, "thin") for at in range(1, len(STEPS)) for panel in (top, low)]


def _errors(panel: Panel, seen: Seen) -> list[Element]:
    until = seen.end if seen.end < math.inf else len(seen.mine)
    mine = [(at + 0.5, value) for at, value in enumerate(seen.mine.tolist()) if at + 1 <= until]
    theirs = [(at + 0.5, value) for at, value in enumerate(seen.theirs.tolist())]
    return [panel.line(theirs, "stable"), panel.line(mine, "warn")]
