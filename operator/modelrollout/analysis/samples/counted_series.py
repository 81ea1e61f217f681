"""Which series of an answer are counted for an arm, and what people have to know of the others. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelrollout.analysis.parts import VALUE
from modelrollout.analysis.samples.own_pods import namespace_label, on_several_clusters, without_other_namespaces
from modelrollout.analysis.samples.processes import Once, each_process_once
from modelrollout.promql.query import Query, Series


@dataclass(frozen=True, slots=True)
class Counted:
    """The series of an arm by part of the metric, and notes on the others.

    `conflict`: why they cannot be counted. `hint`: a cause to look for where there are none.
    """

    parts: Mapping[str, tuple[Series, ...]]
    notes: tuple[str, ...] = ()
    conflict: str | None = None
    hint: str | None = None


def counted(query: Query, series: Sequence[Series], who: str) -> Counted:
    """The series of the arm's own pods, each process once. An expression has counted already. `who`: the arm."""
    if query.part == VALUE:
        return Counted(query.split(series), hint=_hint(query))
    own, note = without_other_namespaces(query, series, who)
    once = each_process_once(own, is_stepped=query.step is not None)
    notes = tuple(filter(None, (note, on_several_clusters(query, own, who), _repeated(once, who))))
    return Counted(query.split(once.series), notes, _conflict(once), _hint(query))


def _repeated(once: Once, who: str) -> str | None:
    if not once.places:
        return None
    pods = f"1 pod of {who} is" if once.places == 1 else f"{once.places} pods of {who} are"
    return f"{pods} scraped more than once ({once.differing}) and counted once"


def _conflict(once: Once) -> str | None:
    if once.conflict is None:
        return None
    return f"{once.conflict}, and the counts do not agree: drop one of the scrapes, or choose one in the selector"


def _hint(query: Query) -> str | None:
    label = namespace_label(query.promql)
    return label and f"if Prometheus has no label {label} on them, leave it out of the selector or set it in the scrape"
