"""The pictures of docs/strategies.md: who meets the candidate at each step of a release, by the steps of an example."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from xml.etree.ElementTree import Element

import yaml

from benchmarks.pictures.drawing import FAR, LEFT, Axis, Panel, axis, label, picture
from modelrollout.api.findings import Finding
from modelrollout.api.status import Phase
from modelrollout.reports.shapes import box, rule
from modelrollout.rollout.rollout import read_wish
from modelrollout.stages.way import way
from modelrollout.trial.trial import Step

EXAMPLES = Path(__file__).parents[2] / "examples"
PICTURES = {
    "canary": ("shared-host", "A canary: a growing share of users"),
    "shadow": ("shadow", "A shadow of all requests, and a canary after it"),
    "blue-green": ("blue-green", "Blue-green: a preview and copies, then one switch"),
    "ab-test": ("ab-test", "An A/B test after a small canary"),
}
"""By the name of their file: the example that is drawn, and what it shows."""
TOP, HEIGHT = 68.0, 150.0
WORDS = 18.0
"""Pixels from one line of words to the next."""
TITLE = "whose answers users get, step by step"
BACK = "A failed verdict in any column: one write of the route, and stable answers everybody."


def picture_of(example: str, title: str) -> str:
    """Columns, one for each step: users above the line are answered by stable, below it by the candidate."""
    steps = [step for step in way_of(example) if step.phase is not Phase.PROMOTING]
    panel = Panel(TOP, HEIGHT, Axis(0, len(steps), ()), axis(0, 100, (0, 50, 100), " %"), FAR)
    shapes = panel.frame(TITLE)
    for number, step in enumerate(steps):
        shapes += _column(panel, number, step)
    shapes += _stages(panel, steps)
    shapes.append(label(LEFT, TOP + HEIGHT + 48, BACK, "small"))
    return picture(title, TOP + HEIGHT + 64, shapes)


def way_of(example: str) -> tuple[Step, ...]:
    """The steps of an example. Raises ValueError where it is none."""
    manifest = yaml.safe_load((EXAMPLES / f"{example}.yaml").read_text(encoding="utf-8"))
    wish = read_wish(manifest["spec"])
    if isinstance(wish, Finding):
        raise ValueError(f"examples/{example}.yaml: {wish.message}")
    return way(wish)


def _column(panel: Panel, number: int, step: Step) -> Iterator[Element]:
    answered = step.exposure.weight or (step.part or 0)
    yield from _bar(panel, number, (answered, 100), "stable")
    yield from _bar(panel, number, (0, answered), "good")
    if step.exposure.mirror:
        yield from _bar(panel, number, (0, float(step.exposure.mirror)), "warn", is_dashed=True)
    middle, _ = panel.at(number + 0.5, 0)
    for lines, percent, kind in _words(step, answered):
        _, y = panel.at(number, percent)
        for at, text in enumerate(lines):
            yield label(middle, y + 4.5 + WORDS * (at - (len(lines) - 1) / 2), text, f"own halo middle {kind}")
    yield label(middle, panel.top + panel.height + 20, _time(step), "small middle")


def _words(step: Step, answered: int) -> Iterator[tuple[tuple[str, ...], float, str]]:
    """What a column says: lines, the percent about which they stand, and in whose colour."""
    copies, asked = float(step.exposure.mirror), step.exposure.asked
    if answered < 100:
        yield ("stable",), 50 + answered / 2 if answered else 88, "stable"
    if answered:
        same = ("the same users",) if step.part and asked else ()
        yield (f"{answered} %", *same), max(answered / 2, 9), "good"
    elif asked:
        yield (f"{min(map(str, asked))}",), 58, "good"
    if step.smoke is not None:
        yield ("the operator asks", "the candidate"), 45, "good"
    if copies:
        yield ("copies", f"of {copies:g} %"), min(copies / 2, 30), "warn"


def _bar(
    panel: Panel, number: int, height: tuple[float, float], kind: str, *, is_dashed: bool = False
) -> Iterator[Element]:
    (left, bottom), (right, top) = panel.at(number, height[0]), panel.at(number + 1, height[1])
    if bottom - top < 1:
        return
    yield box(f"zone {kind}", left + 2, top, right - left - 4, bottom - top)
    yield rule(f"own {kind}{' dashed' if is_dashed else ''}", left + 2, top, right - 2, top)


def _stages(panel: Panel, steps: Iterable[Step]) -> Iterator[Element]:
    """The name of each stage above its first column."""
    before = None
    for number, step in enumerate(steps):
        name = "bake" if step.phase is Phase.BAKING else step.place.stage
        if name != before:
            along, _ = panel.at(number, 0)
            yield label(along + 2, panel.top - 10, name, "small")
        before = name


def _time(step: Step) -> str:
    if step.patience is not None and step.goal is not None:
        return f"{_short(step.hold)} to {_short(step.patience.deadline)}"
    return _short(step.hold) if step.hold else "until it answers well"


def _short(time: timedelta) -> str:
    for unit, name in ((timedelta(days=1), "d"), (timedelta(hours=1), "h"), (timedelta(minutes=1), "min")):
        if time >= unit:
            return f"{time / unit:g} {name}"
    return f"{time.total_seconds():g} s"
