"""All that the rest of a run depends on: two runs in one state go on alike, for nothing in a town is left to chance.

A state holds whatever the town, its operator's process and the witness hold, but for what is named here with a reason.
What they come to hold later is part of it by itself. Where a thing cannot be compared by value no two states are the
same, which costs time and nothing else.
"""

from __future__ import annotations

import asyncio
import marshal
from collections import deque
from collections.abc import Hashable, Mapping, Set
from typing import Any

from modelrollout.objects.manifests import Manifest, Ref
from modelrollout.shell.apply import Applier
from modelrollout.shell.telemetry import Telemetry
from tests.fakes.answers import Answers
from tests.fakes.cluster import FakeCluster
from tests.fakes.metrics import Metrics
from tests.fakes.post import Post
from tests.fakes.town import Town
from tests.fakes.witness import Witness

State = Hashable

PROCESS = ("modelrollout.shell", "modelrollout.delivery")
APART: Mapping[type, set[str]] = {
    Town: {
        "_seen",  # whether anything changed since is said in `state_of`
        "_poked",  # each pass has its own
        *("restarts", "slept", "troubles"),  # books for tests
        "before_pass",  # whoever looks on is part of the state, and looks on at every town
    },
    FakeCluster: {
        *("objects", "version", "changes"),  # see `state_of`
        *("requests", "log", "history"),  # books for tests, and for watches, which these towns have none of
        *("hook", "witnesses"),  # as before_pass
    },
    Metrics: {"asked", "was_asked", "told"},  # books for tests; the witness looks at those of its pass
    Answers: {"asked"},
    Witness: {
        *("history", "statuses"),  # what was, by which nothing is judged
        *("_log_begins", "_asked_before"),  # where its pass begins in the books
    },
    Applier: {"_in_force"},  # see `state_of`
}


def state_of(town: Town, witness: Witness) -> State:
    """What two runs have in common that go on alike.

    Versions and uids of objects are compared with each other alone, so they may differ by any renaming: a version,
    which the process remembers, is told by whether it is the present one. Events are written and never read.
    """
    cluster = town.cluster
    objects = {key: one for key, one in cluster.objects.items() if key[0] != "events"}
    has_changed = town._seen != cluster.changes
    parts = (town, cluster, town.metrics, town.answers, town.post, witness)
    return has_changed, _frozen(objects), _in_force(town), tuple(_held(part) for part in parts)


def _in_force(town: Town) -> Hashable:
    """What the process knows to be in force as it applied it."""

    def present(ref: Ref) -> str | None:
        found = town.cluster.get(ref.resource, ref.name, ref.namespace)
        return found and found["metadata"]["resourceVersion"]

    known = town.reconciler._applier._in_force.items()
    return frozenset((ref, applied) for ref, (applied, version) in known if version == present(ref))


def _held(holder: object) -> Hashable:
    apart = APART.get(type(holder), set())
    names = getattr(holder, "__slots__", None) or vars(holder)
    return frozenset((name, _frozen(getattr(holder, name))) for name in names if name not in apart)


def _frozen(thing: Any) -> Hashable:
    match thing:
        case Town() | FakeCluster() | Metrics() | Answers() | Post() | Telemetry():
            return type(thing)  # whoever has one at hand has the town's own
        case asyncio.Event():
            return thing.is_set()
        case {"apiVersion": _, "metadata": _}:
            return marshal.dumps(_nameless(thing), 2)  # a later version tells what is one object from what is equal
        case Mapping():
            return frozenset((key, _frozen(value)) for key, value in thing.items())
        case Set():
            return frozenset(thing)
        case list() | tuple() | deque():
            return tuple(_frozen(one) for one in thing)
        case _ if callable(thing):
            return type(thing)  # what it was made of is the same in every process, or part of the state by itself
        case _ if type(thing).__module__.startswith(PROCESS):
            return type(thing), _held(thing)
        case _:
            return repr(thing)


def _nameless(manifest: Manifest) -> Manifest:
    kept = {name: value for name, value in manifest["metadata"].items() if name not in ("uid", "resourceVersion")}
    return {**manifest, "metadata": kept}
