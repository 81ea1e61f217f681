"""The revision that a wish is: a digest of its meaning, whatever the words. Pure.

Two spellings are one revision where the API server stores one object for both; in any other case pods would be replaced
in place.
"""

from __future__ import annotations

from typing import Any

from modelrollout.api.status import ModelRolloutStatus, VersionInfo
from modelrollout.objects.manifests import ROLLOUT_LABEL, Owner, Ref, digest, revision_of
from modelrollout.objects.quantities import canonical
from modelrollout.objects.reads import Objects
from modelrollout.objects.resources import SERVICES
from modelrollout.rollout.pod_defaults import is_default
from modelrollout.traffic import revision_service
from modelrollout.traffic.router import Backend

_TEXTS = frozenset({"labels", "annotations", "nodeSelector", "matchLabels", "volumeAttributes", "options"})
"""Maps whose names and texts are anybody's own. They are kept word for word."""
_AMOUNTS = frozenset({"limits", "requests", "overhead"})
"""Maps from names to quantities."""
_AMOUNT = frozenset({"sizeLimit", "divisor"})
_DROPPED = _TEXTS | _AMOUNTS | {"metadata"}
"""Fields that the API server stores alike when they are empty and when they are left out. Other objects are kept, empty
or not: `emptyDir: {}` is a volume, and `namespaceSelector: {}` selects all."""


def revision_by_meaning(model: VersionInfo, pods: Any, port: int) -> str:
    """`pods`: what decides how they answer. `port`: where they do; whoever listens on another is not reached."""
    meant = meaning(pods)
    if isinstance(meant, dict) and meant.keys() == {"template"}:
        meant = meant["template"]
    named = {name: text for name, text in model.model_dump().items() if text}
    return digest({"model": named, "pods": meant, "port": port})


def revision_by_words(model: VersionInfo, pods: Any) -> str:
    """The revision that operators made of the same wish before its port was a part. What they left has that name."""
    return digest({"model": model.model_dump(exclude_none=True), "pods": pods})


def is_known(revision: str, port: int, owner: Owner, status: ModelRolloutStatus, objects: Objects) -> bool:
    """Whether a revision by words is there, or was, with this port: what its Service was written with."""
    arms = (status.stable, status.candidate, *status.retired, *status.rejected)
    there = (one for one in objects.values() if isinstance(one, dict))
    labelled = (one for one in there if (one["metadata"].get("labels") or {}).get(ROLLOUT_LABEL) == owner.name)
    if revision not in {*(arm.revision for arm in arms if arm), *map(revision_of, labelled)}:
        return False
    name = f"{owner.name}-{revision}"
    service = objects.get(Ref(SERVICES, owner.namespace, name))
    return not isinstance(service, dict) or revision_service.has_port(service, owner, Backend(name, revision, port))


def meaning(value: Any, where: str = "") -> Any:
    """A part of a workload, in the one spelling that stands for all that the API server stores alike.

    `where`: the field that holds it.
    """
    match value:
        case dict():
            return _object(value, where)
        case list():
            return [_without_empty_resources(meaning(one, where)) for one in value]
        case _:
            return value


def _object(value: dict[str, Any], where: str) -> dict[str, Any]:
    told = {name: part for name, part in value.items() if not is_default(where, name, value)}
    found = {name: _field(name, part) for name, part in told.items()}
    return {name: part for name, part in found.items() if not _stands_for_nothing(name, part)}


def _field(name: str, part: Any) -> Any:
    if name in _AMOUNT:
        return canonical(part)
    if isinstance(part, dict) and name in _TEXTS:
        return part
    if isinstance(part, dict) and name in _AMOUNTS:
        return {key: canonical(one) for key, one in part.items()}
    return meaning(part, name)


def _stands_for_nothing(name: str, part: Any) -> bool:
    if part is None or part == []:
        return True
    return (part == {} and name in _DROPPED) or (part == "" and name == "value")


def _without_empty_resources(item: Any) -> Any:
    """Of a container; a pod's own are kept by the API server even when they are empty."""
    if isinstance(item, dict) and item.get("resources") == {}:
        return {name: part for name, part in item.items() if name != "resources"}
    return item
