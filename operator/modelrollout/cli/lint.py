"""`modelrollout lint FILE…`: what the operator would say to ModelRollouts and templates of metrics. Asks no cluster."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from modelrollout.api.base import API_VERSION, GROUP, KIND
from modelrollout.api.errors import name_error
from modelrollout.api.metric_templates import CLUSTER_KIND
from modelrollout.api.metric_templates import KIND as TEMPLATE_KIND
from modelrollout.cli.written import UnreadableError, Written, read
from modelrollout.objects.manifests import Manifest, Ref, ref_of
from modelrollout.objects.resources import (
    CLUSTER_METRIC_TEMPLATES,
    GATEWAY_CLASSES,
    GATEWAYS,
    HTTP_ROUTES,
    KNOWN,
    METRIC_TEMPLATES,
    Resource,
)
from modelrollout.plan import offline
from modelrollout.workloads.kind_table import WORKLOADS

OURS = (KIND, TEMPLATE_KIND, CLUSTER_KIND)
NAMED = (*WORKLOADS, HTTP_ROUTES, GATEWAYS, GATEWAY_CLASSES, METRIC_TEMPLATES, CLUSTER_METRIC_TEMPLATES)
"""The kinds that a ModelRollout may name."""
FOUND, NOT_READ = 1, 2
"""Exit codes."""


@dataclass(frozen=True, slots=True)
class Line:
    """A remark, as compilers write them: editors and pull requests find the place."""

    place: str
    severity: Literal["error", "warning"]
    words: str

    def __str__(self) -> str:
        return f"{self.place}: {self.severity}: {self.words}\n"


@dataclass(frozen=True, slots=True)
class Linted:
    """What was read, all that is to be said to it, and so how a command ends."""

    written: Sequence[Written]
    lines: Sequence[Line]

    @property
    def exit_code(self) -> int:
        return FOUND if any(line.severity == "error" for line in self.lines) else 0

    def __str__(self) -> str:
        said = "".join(map(str, self.lines))
        checked = sum(map(is_ours, self.written))
        objects = "1 object" if checked == 1 else f"{checked} objects"
        return said if self.exit_code else f"{said}{objects} of {GROUP} checked: nothing to mend.\n"


def run(flags: argparse.Namespace) -> int:
    """The exit code: 1 where something has to be mended, 2 where a file cannot be read."""
    try:
        linted = lint([*read(flags.files)], flags.namespace)
    except UnreadableError as error:
        sys.stderr.write(f"modelrollout: {error}\n")
        return NOT_READ
    sys.stdout.write(str(linted))
    return linted.exit_code


def lint(written: Sequence[Written], namespace: str) -> Linted:
    """What the operator, and the API server before it, would say."""
    others = surroundings(written, namespace)
    lines = [line for one in written if is_ours(one) for line in _said(one, others, namespace)]
    if not any(map(is_ours, written)):
        files = ", ".join(dict.fromkeys(one.file for one in written)) or "the files"
        lines = [Line(files, "error", f"there is nothing of {GROUP} in here to be checked")]
    return Linted(written, lines)


def _said(one: Written, others: dict[Ref, Manifest], namespace: str) -> Iterator[Line]:
    for place, field in one.repeated():
        yield Line(place, "error", f"{one.name}: {field} stands here a second time: take one of them out")
    if (wrong := _unplaced(one.manifest)) is not None:
        yield Line(one.place(wrong), "error", f"{one.name}: {wrong}")
        return
    for remark in offline.remarks(placed(one.manifest, namespace), others):
        yield Line(one.place(remark.message), remark.severity, f"{one.name}: {remark.message}")


def _unplaced(manifest: Manifest) -> str | None:
    """Why the API server would not know where to put it."""
    if manifest["apiVersion"] != API_VERSION:
        return f"apiVersion is {manifest['apiVersion']}: write {API_VERSION}"
    name = manifest["metadata"].get("name")
    if not isinstance(name, str) or not name:
        return "metadata.name is missing: add it"
    if not isinstance(manifest["metadata"].get("namespace", ""), str):
        return "metadata.namespace is no text: put the namespace's name there, or leave it out"
    wrong = name_error(name) if manifest["kind"] == KIND else None
    return wrong if wrong is None else f"{wrong}."


def is_ours(one: Written) -> bool:
    """Whether the operator reads it."""
    return one.manifest.get("kind") in OURS and str(one.manifest.get("apiVersion")).split("/")[0] == GROUP


def surroundings(written: Sequence[Written], namespace: str) -> dict[Ref, Manifest]:
    """The objects that a ModelRollout may name, as far as they look like ones; others are passed over."""
    known = [one.manifest for one in written if _resource(one.manifest) in NAMED and _has_its_parts(one.manifest)]
    return {ref_of(manifest): manifest for manifest in (placed(one, namespace) for one in known)}


def placed(manifest: Manifest, namespace: str) -> Manifest:
    """With the namespace that it would be applied to."""
    resource = _resource(manifest)
    if resource is None or not resource.namespaced:
        return manifest
    return {**manifest, "metadata": {"namespace": namespace, **manifest["metadata"]}}


def _resource(manifest: Manifest) -> Resource | None:
    return KNOWN.get((manifest["apiVersion"], manifest["kind"]))


def _has_its_parts(manifest: Manifest) -> bool:
    metadata, spec = manifest["metadata"], manifest.get("spec")
    is_named = isinstance(metadata.get("name"), str) and isinstance(metadata.get("namespace", ""), str)
    has_notes = all(isinstance(metadata.get(name) or {}, dict) for name in ("labels", "annotations"))
    has_pods = _resource(manifest) not in WORKLOADS or (
        isinstance(spec, dict) and isinstance(spec.get("template"), dict)
    )
    return is_named and has_notes and isinstance(spec, dict) and has_pods
