"""The input of a plan: the objects that were read, and the answers of Prometheus and of the candidate. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from modelrollout.api.findings import Finding
from modelrollout.comparer.answers import Reply
from modelrollout.objects.manifests import ROLLOUT_LABEL, Manifest, Ref, ref_of
from modelrollout.objects.reads import UNREADABLE, Objects, is_whole, whole
from modelrollout.objects.resources import PODS, SERVICES, Resource
from modelrollout.promql.query import Answer, Query
from modelrollout.traffic.router import InForce
from modelrollout.trial.deliveries import Deliveries
from modelrollout.trial.question import Question
from modelrollout.trial.smoke import SmokeRound
from modelrollout.workloads.companions import COMPANIONS
from modelrollout.workloads.kind_table import WORKLOADS

REFUSED = "Refused"
"""The reason where the API server does not take an object."""


@dataclass(frozen=True)
class World:
    """All that is known about a rollout in one pass: its own objects by its label, others by their names."""

    rollout: str  # its name
    objects: Objects = field(default_factory=dict)
    refusals: Mapping[Ref, Finding] = field(default_factory=dict)  # what the API server says against our writes
    objections: Mapping[Ref, Finding] | None = field(default_factory=dict)  # see `tried`; None: it was not asked
    look: Question | None = None  # that was answered; None: Prometheus was not asked
    answers: Mapping[Query, Answer] = field(default_factory=dict)
    smoke: SmokeRound | None = None  # that was put to the candidate; None: it was asked nothing
    replies: Mapping[str, Reply] = field(default_factory=dict)  # by the names of its requests
    deliveries: Deliveries = field(default_factory=Deliveries)
    routings: dict[object, InForce] = field(default_factory=dict, init=False, repr=False, compare=False)  # read so far

    @classmethod
    def of(cls, rollout: str, manifests: Iterable[Manifest]) -> World:
        return cls(rollout, {ref_of(manifest): manifest for manifest in manifests})

    def heard(self, look: Question, answers: Mapping[Query, Answer]) -> World:
        """The same world, with what Prometheus said to a look."""
        return self._with(look=look, answers=answers)

    def replied(self, smoke: SmokeRound, replies: Mapping[str, Reply]) -> World:
        """The same world, with what the candidate said to smoke requests."""
        return self._with(smoke=smoke, replies=replies)

    def delivered(self, deliveries: Deliveries) -> World:
        """The same world, with what is known of errands."""
        return self._with(deliveries=deliveries)

    def tried(self, objections: Mapping[Ref, Finding]) -> World:
        """The same world, with what the API server has against the objects of the revision that is wished for."""
        return self._with(objections=objections)

    def _with(self, **heard: Any) -> World:
        """More that is known beside the same objects: what their routes say stays read."""
        other = replace(self, **heard)
        other.routings.update(self.routings)
        return other

    def trouble(self, asked: Collection[Resource]) -> Finding | None:
        """All that the API server refuses, in its own words. `asked`: the kinds of companions that matter."""
        hidden = {
            whole(kind, ""): why for kind, why in self.unlisted.items() if kind in asked and why.reason == UNREADABLE
        }
        refused = {**self.refusals, **(self.objections or {}), **hidden}
        said = dict.fromkeys(refused[ref].message for ref in sorted(refused, key=str))
        return Finding(REFUSED, " ".join(said)) if said else None

    @cached_property
    def unlisted(self) -> Mapping[Resource, Finding]:
        """The kinds of which nobody knows the objects, and why."""
        return {ref.resource: why for ref, why in self.objects.items() if isinstance(why, Finding) and is_whole(ref)}

    @cached_property
    def workloads(self) -> tuple[Manifest, ...]:
        return tuple(one for resource in WORKLOADS for one in self._labelled.get(resource, ()))

    @property
    def companions(self) -> tuple[Manifest, ...]:
        """Autoscalers and disruption budgets of versions."""
        return tuple(one for resource in COMPANIONS for one in self._labelled.get(resource, ()))

    @property
    def services(self) -> tuple[Manifest, ...]:
        return tuple(self._labelled.get(SERVICES, ()))

    @property
    def pods(self) -> tuple[Manifest, ...]:
        return tuple(self._labelled.get(PODS, ()))

    @cached_property
    def _labelled(self) -> Mapping[Resource, list[Manifest]]:
        found: dict[Resource, list[Manifest]] = {}
        for ref, one in self.objects.items():
            if isinstance(one, dict) and (one["metadata"].get("labels") or {}).get(ROLLOUT_LABEL) == self.rollout:
                found.setdefault(ref.resource, []).append(one)
        return found
