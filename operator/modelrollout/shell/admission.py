"""Warns people when they apply a ModelRollout: an AdmissionReview in, warnings out. Denies nothing.

kubectl prints an admission webhook's warnings and nothing else of its answer. `kubectl apply` waits for them only
briefly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeGuard

from pydantic import ValidationError

from modelrollout.api.addresses import AllowedAddresses
from modelrollout.kube import Cluster, KubeError
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.reads import Reads
from modelrollout.plan import foresight
from modelrollout.rollout.references import mentioned
from modelrollout.rollout.rollout import parse
from modelrollout.shell.outside import Asker, utc_now
from modelrollout.shell.reader import Direct

logger = logging.getLogger(__name__)

API_VERSION, KIND = "admission.k8s.io/v1", "AdmissionReview"
REVIEW_TIMEOUT = timedelta(seconds=2)
"""A review that takes longer is answered without a warning."""
MOST_AT_ONCE = 4
"""Reviews that ask Prometheus at the same time: the looks of rollouts in progress come first."""


class NotAReviewError(ValueError):
    """The request is no AdmissionReview of a ModelRollout; the message says why."""


@dataclass(frozen=True, slots=True)
class ReviewRequest:
    """The fields of an AdmissionReview's request that are read."""

    uid: str
    namespace: str
    new: Manifest
    old: Manifest | None


def request_of(review: Any) -> ReviewRequest:
    """Raises NotAReviewError."""
    request = review.get("request") if isinstance(review, Mapping) else None
    if not isinstance(request, Mapping) or review.get("apiVersion") != API_VERSION or review.get("kind") != KIND:
        raise NotAReviewError(f"This is not an {KIND} of {API_VERSION} with a request.")
    uid, namespace, new, old = (request.get(name) for name in ("uid", "namespace", "object", "oldObject"))
    if not isinstance(uid, str) or not isinstance(namespace, str) or not _is_object(new):
        raise NotAReviewError("The request needs uid, namespace and an object: send it CREATE and UPDATE only.")
    return ReviewRequest(uid, namespace, new, old if _is_object(old) else None)


def _is_object(manifest: Any) -> TypeGuard[Manifest]:
    return isinstance(manifest, dict) and isinstance(manifest.get("metadata"), dict)


def allowed(uid: str, warnings: tuple[str, ...]) -> dict[str, Any]:
    """The answer to a review."""
    response = {"uid": uid, "allowed": True} | ({"warnings": list(warnings)} if warnings else {})
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}


class Advisor:
    """Warns of changes that the releases of a spec could not detect."""

    def __init__(
        self,
        cluster: Cluster,
        asker: Asker,
        *,
        clock: Callable[[], datetime] = utc_now,
        patience: timedelta = REVIEW_TIMEOUT,
        addresses: AllowedAddresses | None = None,
    ) -> None:
        """`addresses` of a Prometheus that specs may name; None: any."""
        self._cluster, self._asker, self._clock, self._patience = cluster, asker, clock, patience
        self._addresses = addresses
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    async def review(self, review: Any) -> dict[str, Any]:
        """The answer to an AdmissionReview: always allowed. Raises NotAReviewError."""
        request = request_of(review)
        return allowed(request.uid, await self.warnings(request))

    async def warnings(self, request: ReviewRequest) -> tuple[str, ...]:
        """Empty when the spec did not change, when its history is unknown, or when asking takes too long."""
        if "deletionTimestamp" in request.new["metadata"] or not foresight.is_another(request.new, request.old):
            return ()
        try:
            async with asyncio.timeout(self._patience.total_seconds()), self._turns:
                return await self._warnings_about(request)
        except TimeoutError:
            why = f"it took longer than {self._patience.total_seconds():g} s"
        except KubeError as trouble:
            why = str(trouble)
        except ValidationError:
            why = "its status is not one that an operator wrote"
        name = request.new["metadata"].get("name", "")
        logger.info("%s/%s was applied, and what it can see is not known: %s.", request.namespace, name, why)
        return ()

    async def _warnings_about(self, request: ReviewRequest) -> tuple[str, ...]:
        new = {**request.new, "metadata": {"name": "new", "uid": "", **request.new["metadata"]}}
        new["metadata"]["namespace"] = request.namespace
        named = Reads(named=mentioned(request.namespace, new.get("spec")))
        objects = await Direct(self._cluster).read((request.namespace, ""), named)
        rollout = parse(new, objects, addresses=self._addresses)
        if rollout.fault is not None:
            return foresight.cut_to_limits([f"{rollout.fault.reason}: {rollout.fault.message}"])
        if rollout.wish is None:
            return ()
        in_the_open = tuple(foresight.in_the_open(rollout.wish))
        asked = foresight.queries_to_ask(rollout, new, request.old, self._clock().replace(microsecond=0))
        if not asked:
            return foresight.cut_to_limits(in_the_open)
        answers = await self._asker.ask(request.namespace, rollout.wish.spec.analysis.prometheus, asked)
        seen = await asyncio.to_thread(foresight.warnings, rollout, asked, answers)  # six hours of many pods
        return foresight.cut_to_limits([*in_the_open, *seen])
