"""A kind as the server sees it: names, schema, subresources, rules. The registry holds those served right now."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.metadata_checks import Names
from localcluster.apiserver.store import Object

Schema = dict[str, Any]
Cell = str | int | float | None

VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
OBJECT_FIELDS = frozenset({"metadata.name", "metadata.namespace"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the table that kubectl prints; `cell` computes it from the object."""

    name: str
    type: str
    cell: Callable[[Object], Cell]
    description: str = ""
    format: str = ""
    priority: int = 0  # above 0: only with -o wide


def _unchanged(item: Object) -> Object:
    return item


def _no_errors(new: Object, old: Object | None) -> list[FieldError]:
    return []


@dataclass(frozen=True, slots=True)
class Rules:
    """What a kind does beyond storage. Every function is pure and returns a new object where it changes one."""

    default: Callable[[Object], Object] = _unchanged
    on_create: Callable[[Object], Object] = _unchanged
    on_update: Callable[[Object, Object], Object] = lambda new, old: new
    validate: Callable[[Object, Object | None], list[FieldError]] = _no_errors
    names: Names = "subdomain"
    finalizers_of_any_name: bool = False  # elsewhere they carry a domain
    counts_generations: bool = False
    annotations_count: bool = False  # as a wish, towards the generation
    keeps_status_apart: bool = False  # has /status: the main endpoint ignores status, and the other way round
    update_may_create: bool = False
    update_needs_version: bool = False  # a PUT without resourceVersion is refused
    finalizer_on_delete: str = ""  # put on when deletion begins
    default_propagation: str | None = None  # of deletions that do not say
    returns_deleted: bool = False  # DELETE answers with the object instead of a Status
    on_delete: Callable[[Object], Object] = _unchanged  # what deletion does to an object that it cannot remove at once
    is_held: Callable[[Object], bool] = lambda item: False  # something beside finalizers keeps it
    grace_seconds: Callable[[Object], int] | None = None  # deletion leaves the object to its node for so long


@dataclass(frozen=True, slots=True)
class ScalePaths:
    """Where a kind keeps what `/scale` shows."""

    spec: str = ".spec.replicas"
    status: str = ".status.replicas"
    selector: str = ".spec.selector"


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind at one version, as clients address it."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    read_schema: Callable[[], Schema]  # built when first needed: there are hundreds of types in a cluster
    rules: Rules = Rules()
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    selectable: frozenset[str] = OBJECT_FIELDS
    verbs: tuple[str, ...] = VERBS
    stored_in: tuple[str, str] | None = None  # another (group, plural) whose objects these are too
    from_stored: Callable[[Object], Object] = _unchanged
    to_stored: Callable[[Object], Object] = _unchanged
    custom: bool = False  # comes from a CustomResourceDefinition
    scale: ScalePaths | None = None

    @property
    def schema(self) -> Schema:
        return self.read_schema()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self) -> str:
        return f"{self.plural}.{self.group}" if self.group else self.plural


class Registry:
    """The kinds served now: built-in ones and those of established CustomResourceDefinitions."""

    def __init__(self, built_in: Iterable[Resource]) -> None:
        self._resources = {(each.group, each.version, each.plural): each for each in built_in}
        self.changes = 0  # discovery and OpenAPI documents are cached until this moves

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        return self._resources.get((group, version, plural))

    def all(self) -> list[Resource]:
        return list(self._resources.values())

    def replace(self, group: str, plural: str, resources: Iterable[Resource]) -> None:
        """Serve these versions of a custom kind, and no others of it."""
        kept = {key: each for key, each in self._resources.items() if (key[0], key[2]) != (group, plural)}
        self._resources = kept | {(each.group, each.version, each.plural): each for each in resources}
        self.changes += 1

    def groups(self) -> Mapping[str, list[str]]:
        """Versions by group, the preferred one first."""
        found: dict[str, list[str]] = {}
        for group, version, _ in self._resources:
            versions = found.setdefault(group, [])
            if version not in versions:
                versions.append(version)
        return {group: sorted(versions, key=version_priority) for group, versions in found.items()}


def version_priority(version: str) -> tuple[int, int, int, str]:
    """Sort key that puts v2 before v1 before v1beta1 before v1alpha1, as Kubernetes prefers them."""
    found = re.fullmatch(r"v(\d+)(?:(alpha|beta)(\d+))?", version)
    if not found:
        return (3, 0, 0, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return (stage, -int(found[1]), -int(found[3] or 0), version)
