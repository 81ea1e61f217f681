"""A ModelRollout as the planner sees it: parsed, rendered, and its fault named if it has one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from modelrollout.analysis.queries import ArmNames, Reach, queries
from modelrollout.api.addresses import AllowedAddresses
from modelrollout.api.errors import name_error, spec_error
from modelrollout.api.findings import Finding
from modelrollout.api.notifications import Notification, notifications_in
from modelrollout.api.people import Author
from modelrollout.api.placeholders import UnknownName, render_tree
from modelrollout.api.spec import ModelRolloutSpec
from modelrollout.api.status import ModelRolloutStatus, VersionInfo
from modelrollout.objects.manifests import Manifest, Owner, Ref, annotation
from modelrollout.objects.reads import Objects
from modelrollout.rollout import service_account
from modelrollout.rollout.agreement_metrics import with_agreement_metrics
from modelrollout.rollout.author import ACTION, author_of
from modelrollout.rollout.expansion import NO_TEMPLATES, Templates, expanded
from modelrollout.rollout.identity import is_known, revision_by_meaning, revision_by_words
from modelrollout.rollout.references import mentioned, owner_of, templates_among
from modelrollout.rollout.template import template_of
from modelrollout.traffic.router import Router
from modelrollout.traffic.router_table import router_of
from modelrollout.workloads.kind import Kind
from modelrollout.workloads.kind_table import kind_of


@dataclass(frozen=True, slots=True, eq=False)
class Wish:
    """A spec that makes sense: what shall be served, and how it gets there. Each is equal to itself alone."""

    spec: ModelRolloutSpec  # expanded: all metrics are in analysis.metrics, none are in presets or templates
    revision: str
    model: VersionInfo
    kind: Kind
    template: Manifest  # rendered
    size: int | None  # pods; None: an autoscaler's
    router: Router
    by_words: str  # the revision that an older operator made of it
    comparer_image: str | None = None  # for stages that compare answers; None: the operator was told of none
    first_weights: Mapping[str, int] = field(default_factory=dict)  # of canaries, by stage: chosen for this release


@dataclass(frozen=True, slots=True)
class Rollout:
    """One resource as it was read. `wish` is None exactly when `fault` says why."""

    owner: Owner
    generation: int
    wish: Wish | None
    fault: Finding | None
    status: ModelRolloutStatus
    action: str | None = None  # asked for by hand
    action_by: Author | None = None
    vets_authors: bool = False
    notifications: tuple[Notification, ...] = ()  # whatever else may be wrong with the spec

    def workload(self, revision: str) -> str:
        return f"{self.owner.name}-{revision}"


def parse(
    manifest: Manifest,
    objects: Objects,
    comparer_image: str | None = None,
    addresses: AllowedAddresses | None = None,
    vets_authors: bool = False,
) -> Rollout:
    """`objects`: what was found of those that `references.reads` names. `comparer_image`: see `Wish`. `addresses` of a
    Prometheus that a spec may name; None: any. `vets_authors`: an admission policy checks who asks by hand.

    Raises pydantic.ValidationError when the status is not one that this operator or an older one wrote.
    """
    metadata = manifest["metadata"]
    owner = owner_of(manifest)
    status = ModelRolloutStatus.model_validate(manifest.get("status") or {})
    wish = _wish_in(manifest, objects, comparer_image, addresses)
    if isinstance(wish, Wish) and is_known(wish.by_words, wish.spec.traffic.port, owner, status, objects):
        wish = replace(wish, revision=wish.by_words)
    return Rollout(
        owner=owner,
        generation=int(metadata.get("generation", 1)),
        wish=wish if isinstance(wish, Wish) else None,
        fault=wish if isinstance(wish, Finding) else None,
        status=status,
        action=annotation(manifest, ACTION),
        action_by=author_of(manifest, is_admitted=vets_authors),
        vets_authors=vets_authors,
        notifications=notifications_in(manifest.get("spec")),
    )


def _wish_in(
    manifest: Manifest, objects: Objects, comparer_image: str | None, addresses: AllowedAddresses | None
) -> Wish | Finding:
    metadata = manifest["metadata"]
    if (wrong_name := name_error(metadata["name"])) is not None:  # an older CRD may have let it pass
        return Finding("InvalidName", f"{wrong_name}.")
    spec, namespace = manifest.get("spec") or {}, metadata["namespace"]
    wish = read_wish(
        spec,
        templates_among(objects, namespace, spec),
        objects,
        namespace=namespace,
        comparer_image=comparer_image,
        addresses=addresses,
    )
    return wish if isinstance(wish, Finding) else service_account.fault(spec, namespace, objects) or wish


def read_wish(
    raw: Mapping[str, Any],
    templates: Templates = NO_TEMPLATES,
    objects: Objects | None = None,
    *,
    namespace: str = "",
    comparer_image: str | None = None,
    addresses: AllowedAddresses | None = None,
) -> Wish | Finding:
    """The wish in a spec, or the sentence that says what is wrong with it. `objects` has what workloadRef names."""
    there = objects or {}
    named = {ref: there[ref] for ref in mentioned(namespace, raw) if ref in there}
    return _understood(_Words.of(raw, templates, named, namespace, comparer_image, addresses))


@dataclass(frozen=True, slots=True)
class _Words:
    """A spec with all that it names, told from others by its text, which leaves out nothing of a JSON value."""

    text: str
    raw: Mapping[str, Any] = field(compare=False)
    templates: Templates = field(compare=False)
    named: Mapping[Ref, Manifest | Finding] = field(compare=False)
    namespace: str
    comparer_image: str | None
    addresses: AllowedAddresses | None

    @classmethod
    def of(cls, raw: Mapping[str, Any], templates: Templates, named: Objects, *others: Any) -> _Words:
        return cls(repr((raw, templates, named)), raw, templates, named, *others)


@lru_cache(maxsize=256)  # passes come every few seconds, edits once a day: a spec is read in its first pass alone
def _understood(words: _Words) -> Wish | Finding:
    try:
        written = ModelRolloutSpec.model_validate(words.raw)
        if (refusal := _refused_address(written, words)) is not None:
            return refusal
        spec = expanded(written, words.templates)
        if isinstance(spec, Finding):
            return spec
        spec = with_agreement_metrics(spec)
        if isinstance(spec, Finding):
            return spec
        found = template_of(spec.workload, words.named, words.namespace)
        if isinstance(found, Finding):
            return found
        # A workload that is referred to runs as it is written: braces in it are some other program's.
        is_ours = spec.workload.workload_ref is None
        template = render_tree(found, model_names(spec), where="spec.workload.template") if is_ours else found
        _try_queries(spec)
    except ValidationError as error:
        return Finding("InvalidSpec", spec_error(error))
    except UnknownName as error:
        return Finding("InvalidTemplate", f"{error}")
    kind = kind_of(template)
    fault = kind if isinstance(kind, Finding) else kind.fault(template)
    if isinstance(kind, Finding) or fault is not None:
        return fault or Finding("InvalidTemplate", "spec.workload cannot be read.")
    return _wish(spec, kind, template, words.comparer_image)


def _refused_address(spec: ModelRolloutSpec, words: _Words) -> Finding | None:
    server = spec.analysis.prometheus
    if server is None or server.url is None or words.addresses is None:
        return None
    return words.addresses.refusal(server.url, words.namespace)


def _wish(spec: ModelRolloutSpec, kind: Kind, template: Manifest, comparer_image: str | None) -> Wish | Finding:
    size, router = kind.size(template), router_of(spec.traffic)
    if spec.workload.autoscaling is not None:
        if size is not None and spec.workload.workload_ref is None:
            return Finding(
                "InvalidTemplate",
                "spec.workload.template.spec.replicas must be left out where spec.workload.autoscaling is set, which "
                "decides the number of pods.",
            )
        size = None
    if router.splits_by_pods and size is None:
        return Finding(
            "InvalidTemplate",
            "traffic.service splits by counting pods, so spec.workload.template.spec.replicas must be set; "
            "where an autoscaler sets it, use traffic.gatewayAPI.",
        )
    model = VersionInfo(name=spec.model.name, version=spec.model.version, uri=spec.model.uri)
    pods = kind.identity(template)
    revision = revision_by_meaning(model, pods, spec.traffic.port)
    by_words = revision_by_words(model, pods)
    return Wish(spec, revision, model, kind, template, size, router, by_words, comparer_image)


def model_names(spec: ModelRolloutSpec) -> dict[str, str]:
    """The names that a template may use."""
    model = spec.model
    return {"model.name": model.name, "model.version": model.version, "model.uri": model.uri or ""}


def _try_queries(spec: ModelRolloutSpec) -> None:
    """Raises UnknownName now rather than in the middle of a rollout."""
    start = datetime(2000, 1, 1, tzinfo=UTC)
    anybody = ArmNames("candidate", namespace="-", rollout="-", revision="-", workload="-", service="-", pods="-")
    interval = spec.analysis.interval.timedelta
    reach = Reach(start, start + interval, start + interval, interval)
    queries(spec.analysis, anybody, None, {metric.name: reach for metric in spec.analysis.metrics})
