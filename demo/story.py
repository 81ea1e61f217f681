"""The stories that the demo can tell: which versions are released by which stages, and how each should end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Ending = Literal["Installed", "Promoted", "RolledBack"]


@dataclass(frozen=True, slots=True)
class Release:
    """One version, and what becomes of it if all is well. `about` completes the sentence "v3 …"."""

    name: str
    about: str
    ending: Ending


@dataclass(frozen=True, slots=True)
class Tour:
    """A story told by one strategy.

    `stages` take the place of the example's, `without` names its metrics that are left out, and `metrics` come to them;
    nothing of these where the example is released as it is.
    """

    title: str
    releases: tuple[Release, ...]
    stages: tuple[Mapping[str, Any], ...] = ()
    without: frozenset[str] = frozenset()
    metrics: tuple[Mapping[str, Any], ...] = ()

    def spec(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """The spec that is released, made from the example's."""
        analysis = example["analysis"]
        metrics = [metric for metric in analysis["metrics"] if metric["name"] not in self.without]
        stages = [*self.stages] or example["stages"]
        return {**example, "stages": stages, "analysis": {**analysis, "metrics": [*metrics, *self.metrics]}}


FIRST = Release("v1", "is the first version: 94 % of its answers are right", "Installed")
BETTER = Release("v2", "is better: 97 % right", "Promoted")
FAILING = Release("v3", "answers one request in five with an error", "RolledBack")
WRONG = Release("v4", "is quietly wrong: every 1 and 7 mixed up, no error, as quick as ever", "RolledBack")
STORY = (FIRST, BETTER, FAILING, WRONG)

_COMPARE = {"minAgreement": "88%", "agreement": {"path": "$.label"}}
_SHADOW = {"name": "shadow", "shadow": {"methods": ["POST"], "hold": "8s", "compare": _COMPARE}}
_PREVIEW = {"header": {"name": "x-preview", "value": "1"}}
_COPIES = {"percent": 100, "methods": ["POST"]}
_SWITCH = {"preview": _PREVIEW, "mirror": _COPIES, "previewHold": "10s", "hold": "8s"}
_USERS = {"bucketHeader": {"name": "x-bucket", "prefix": "b"}}  # b00 to b99, a hundred equal parts of all users
_BETTER = {"goal": {"metric": "kept", "superiority": True}, "onInconclusive": "rollback"}
_EXPERIMENT = {
    "name": "experiment",
    "abTest": {"percent": 50, "sticky": _USERS, **_BETTER, "minDuration": "6s", "maxDuration": "2m"},
}
_KEPT = {
    "name": "kept",
    "ratio": {
        "good": 'model_answers_kept_total{namespace="{{ namespace }}",pod=~"{{ pods }}"}',
        "total": 'model_answers_shown_total{namespace="{{ namespace }}",pod=~"{{ pods }}"}',
    },
    "tolerance": {"absolute": "3%"},
    "minSamples": 50,
}
_LABELS = frozenset({"accuracy"})  # in real life, true labels arrive when a release is over

TOURS: Mapping[str, Tour] = {
    "canary": Tour("Four releases, two of them bad", STORY),
    "shadow": Tour(
        "A wrong model is found before any user meets it",
        (FIRST, WRONG, BETTER),
        (_SHADOW, {"name": "canary", "canary": {"weights": [25, 100], "hold": "6s"}}),
        _LABELS,
    ),
    "bluegreen": Tour(
        "One switch for a good model, none for a bad one",
        (FIRST, FAILING, BETTER),
        ({"name": "switch", "blueGreen": _SWITCH},),
    ),
    "ab": Tour(
        "Users stay with one version, until the other is shown to be liked more",
        (FIRST, WRONG, BETTER),
        (_EXPERIMENT,),
        _LABELS,
        (_KEPT,),
    ),
    "all-stages": Tour(
        "Shadow, canary, experiment and one switch in one plan",
        (FIRST, WRONG, BETTER),
        (
            _SHADOW,
            {"name": "canary", "canary": {"weights": [25], "hold": "6s"}},
            _EXPERIMENT,
            {"name": "switch", "blueGreen": {"hold": "4s"}},
        ),
        _LABELS,
        (_KEPT,),
    ),
}

SHOULD = {
    "Installed": "be installed",
    "Promoted": "be promoted",
    "RolledBack": "be taken back",
}
IN_WORDS = {
    "Installed": "installed",
    "Promoted": "promoted",
    "RolledBack": "taken back",
}


def complaints(rows: Sequence[Mapping[str, Any]], story: Sequence[Release] = STORY) -> tuple[str, ...]:
    """Where `releases` of a report differ from the story, a sentence each; empty when it went as told."""
    told = {row["name"]: row for row in rows}
    return tuple(complaint for release in story for complaint in _about(release, told.get(release.name)))


def _about(release: Release, row: Mapping[str, Any] | None) -> Iterator[str]:
    if row is None:
        yield f"{release.name} was never released."
        return
    if row["outcome"] != release.ending:
        found = IN_WORDS.get(row["outcome"], "still on its way at the end")
        yield f"{release.name} should {SHOULD[release.ending]}, but it was {found}."
    if row["requestsFailedBySwitch"]:
        yield f"{row['requestsFailedBySwitch']} requests failed during {release.name} because traffic moved."
