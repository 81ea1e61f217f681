"""Checks any object's metadata as Kubernetes does, with its messages. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from localcluster.apiserver.errors import FieldError
from localcluster.apiserver.store import Object

Names = Literal["subdomain", "label", "path"]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_STANDARD_FINALIZERS = frozenset({"kubernetes", "orphan", "foregroundDeletion"})

_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    "an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_NAME_PART_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def metadata_errors(new: Object, old: Object | None, names: Names, *, any_finalizer: bool = False) -> list[FieldError]:
    """Everything that is wrong with an object's metadata."""
    metadata = new["metadata"]
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return [
        *(_name(metadata.get("name", ""), names) if old is None else ()),
        *_keys(labels, "metadata.labels"),
        *_values(labels),
        *_keys((key.lower() for key in annotations), "metadata.annotations"),
        *_owners(metadata.get("ownerReferences") or []),
        *(() if any_finalizer else _unqualified(metadata.get("finalizers") or [])),
        *_both(metadata.get("finalizers") or []),
        *(_added_finalizers(metadata, old["metadata"]) if old is not None else ()),
    ]


def _name(name: str, names: Names) -> Iterator[FieldError]:
    match names:
        case "path":
            if name in (".", "..") or "/" in name or "%" in name:
                yield _invalid("metadata.name", name, "may not be '.' or '..' nor contain '/' or '%'")
        case "label":
            if len(name) > 63:
                yield _invalid("metadata.name", name, "must be no more than 63 bytes")
            if not _LABEL.fullmatch(name):
                yield _invalid("metadata.name", name, _LABEL_WORDS)
        case "subdomain":
            if len(name) > 253:
                yield _invalid("metadata.name", name, "must be no more than 253 bytes")
            if not _SUBDOMAIN.fullmatch(name):
                yield _invalid("metadata.name", name, _SUBDOMAIN_WORDS)


def _invalid(field: str, value: str, why: str) -> FieldError:
    return FieldError(field, "Invalid value", f"{json.dumps(value)}: {why}")


def _keys(keys: Iterable[str], field: str) -> Iterator[FieldError]:
    for key in sorted(keys):
        prefix, slash, name = key.rpartition("/")
        if slash and not _SUBDOMAIN.fullmatch(prefix):
            yield _invalid(field, key, f"prefix part {_SUBDOMAIN_WORDS}")
        if len(name) > 63:
            yield _invalid(field, key, "name part must be no more than 63 bytes")
        if not _NAME_PART.fullmatch(name):
            yield _invalid(field, key, _NAME_PART_WORDS)


def _values(labels: dict[str, str]) -> Iterator[FieldError]:
    for value in labels.values():
        if len(value) > 63:
            yield _invalid("metadata.labels", value, "must be no more than 63 bytes")
        if not _VALUE.fullmatch(value):
            yield _invalid("metadata.labels", value, _VALUE_WORDS)


def _owners(owners: list[dict[str, Any]]) -> Iterator[FieldError]:
    field = "metadata.ownerReferences"
    for owner in owners:
        for key, why in (
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ):
            if not owner.get(key):
                yield _invalid(f"{field}.{key}", "", why)
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        first, second, *_ = (owner.get("name") for owner in owners if owner.get("controller"))
        why = f'Only one reference can have Controller set to true. Found "true" in references for {first} and {second}'
        yield FieldError(field, "Invalid value", why)


def _unqualified(finalizers: list[str]) -> Iterator[FieldError]:
    for index, name in enumerate(finalizers):
        if "/" not in name and name not in _STANDARD_FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            yield _invalid(f"metadata.finalizers[{index}]", name, why)


def _both(finalizers: list[str]) -> Iterator[FieldError]:
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        yield FieldError("metadata.finalizers", "Invalid value", f"{json.dumps(finalizers)}: {why}")


def _added_finalizers(new: dict[str, Any], old: dict[str, Any]) -> Iterator[FieldError]:
    added = sorted(set(new.get("finalizers") or ()) - set(old.get("finalizers") or ()))
    if old.get("deletionTimestamp") and added:
        said = ", ".join(json.dumps(name) for name in added)
        why = (
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{" + said + "}"
        )
        yield FieldError("metadata.finalizers", "Forbidden", why)
