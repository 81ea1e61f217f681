"""Warns, before a spec is stored, of changes that its plan could not detect at the present traffic. Pure.

The same history and the same arithmetic as at the start of a release (`plan/looks.py`), only earlier.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from modelrollout.analysis.evidence.ticks import tick_of
from modelrollout.analysis.queries import history_queries
from modelrollout.api.smoke import Smoked
from modelrollout.api.status import UsualMetric
from modelrollout.objects.manifests import Manifest
from modelrollout.plan import history
from modelrollout.promql.query import Answer, Query
from modelrollout.rollout.rollout import Rollout, Wish
from modelrollout.trial.facts import Facts
from modelrollout.trial.world import World

MOST_WARNINGS, LONGEST_WARNING = 5, 256
"""Warnings, and characters of one: Kubernetes may cut longer ones and leave out some of many (admission.k8s.io/v1)."""
_CREDENTIAL = re.compile("auth|cookie|token|secret|password|api-?key", re.IGNORECASE)
DECIDING = ("stages", "analysis", "promotion")
"""The fields of a spec, beside the version, that decide what a release can detect."""


def is_another(new: Manifest, old: Manifest | None) -> bool:
    """Whether the spec changed: labels, annotations and finalizers are written all the time."""
    return old is None or new.get("spec") != old.get("spec")


def queries_to_ask(rollout: Rollout, new: Manifest, old: Manifest | None, now: datetime) -> tuple[Query, ...]:
    """The queries to ask about stable's past. `rollout` is `new` as it was parsed, about to take the place of `old`.

    Empty before any version serves, and when the change neither starts a release nor alters how one is judged.
    """
    wish, stable = rollout.wish, rollout.status.stable
    if wish is None or stable is None:
        return ()
    before, after = (old or {}).get("spec") or {}, new.get("spec") or {}
    if wish.revision == stable.revision and all(before.get(part) == after.get(part) for part in DECIDING):
        return ()
    analysis = wish.spec.analysis
    tick = tick_of(analysis.interval.timedelta)
    counted = {metric.name for metric in analysis.metrics if metric.ratio is not None}  # warnings speak of ratios only
    queries = history_queries(
        analysis, Facts(rollout, World(rollout.owner.name), now).arm_names(stable, "stable"), (), now, tick
    )
    return tuple(query for query in queries if query.metric in counted)


def warnings(rollout: Rollout, asked: Sequence[Query], answers: Mapping[Query, Answer]) -> tuple[str, ...]:
    """A sentence for each metric in which the plan could not even see a doubling, and each note on one.

    Metrics that Prometheus did not answer for are left out.
    """
    wish = rollout.wish
    if wish is None or not asked:
        return ()
    _, usual = history.foreseen(wish, asked, answers, {})
    return in_sentences(usual)


def in_sentences(usual: Sequence[UsualMetric]) -> tuple[str, ...]:
    """The warnings in what the history said; a note of several parts is one for each, or its end would be cut off."""
    blind = [one.sees for one in usual if one.is_blind and one.sees is not None]
    notes = [f"{one.metric}: {part}" for one in usual if one.note is not None for part in one.note.split("; ")]
    return cut_to_limits([*blind, *notes])


def in_the_open(wish: Wish) -> Iterator[str]:
    """A sentence for each header of a smoke request whose value looks as if it should be known to few."""
    kinds = ((stage.name, stage.kind) for stage in wish.spec.stages)
    smoked = ((name, request) for name, kind in kinds if isinstance(kind, Smoked) for request in kind.smoke)
    for stage, request in smoked:
        for header in request.headers:
            if _CREDENTIAL.search(header.name):
                where = f"stages[{stage}].smoke[{request.name}]: the value of header {header.name}"
                yield f"{where} can be seen by whoever may read this ModelRollout: take one that opens nothing else"


def cut_to_limits(sentences: Sequence[str]) -> tuple[str, ...]:
    """As many and as long as Kubernetes shows."""
    short = [one if len(one) <= LONGEST_WARNING else f"{one[: LONGEST_WARNING - 1]}…" for one in sentences]
    if len(short) <= MOST_WARNINGS:
        return tuple(short)
    return (
        *short[: MOST_WARNINGS - 1],
        f"{len(short) - MOST_WARNINGS + 1} more like these; status.evidence.usual will have all of them",
    )
