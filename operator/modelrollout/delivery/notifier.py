"""Delivers notifications: finds the address, fills in the words, and takes the way that the address asks for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

from modelrollout.api.notifications import Notification, Topic
from modelrollout.delivery import services, webhook
from modelrollout.delivery.deliverer import Parcel, Undelivered
from modelrollout.delivery.standing import StandingTargets
from modelrollout.delivery.webhook import Hook
from modelrollout.kube import SecretTrouble, read_secret
from modelrollout.kube.secrets import Reading
from modelrollout.plan import notices

MOST_WEBHOOKS = 50
"""Under way at a time for rollouts. The operator's own are no more than its file has, and wait for nobody."""

Post = Callable[[Hook, str, str, bytes], Awaitable[None]]
"""Hook, id, content type and body. Raises Undelivered."""
_GONE = "the operator's file of targets has no such name any more"
_UNREAD = "the operator's file of targets cannot be used; the operator's log says why"


@dataclass(frozen=True, slots=True)
class _Target:
    """Where one notification goes. Not to be printed."""

    url: str = field(repr=False)
    secret: str | None = field(repr=False)
    text: str | None
    is_trusted: bool


class Notifier:
    """A carrier. Secrets are read for each attempt and kept nowhere."""

    def __init__(
        self, cluster: Reading, standing: StandingTargets, link: str | None = None, *, post: Post = webhook.post
    ) -> None:
        """`link`: a template of a link, such as to a dashboard, with the fields of a text."""
        self._cluster, self._standing, self._link, self._post = cluster, standing, link, post
        self._services, self._turn = services.Services(), asyncio.Semaphore(MOST_WEBHOOKS)

    def standing(self) -> Mapping[str, frozenset[Topic]] | None:
        found = self._standing.found()
        return None if found is None else {name: frozenset(one.topics) for name, one in found.items()}

    async def carry(self, parcel: Parcel) -> None:
        target = await self._target(parcel)
        values = notices.fields(*parcel.key, parcel.errand, self._link)
        words = notices.text(values, target.text)
        if services.takes(target.url):
            named = notices.title(values), words, values["topic"]
            await self._services.send(services.Message(target.url, *named, target.is_trusted))
        else:
            event = webhook.cloud_event(parcel.errand.id, parcel.owner.uid, values, words)
            hook = Hook(target.url, target.secret, target.is_trusted)
            async with nullcontext() if target.is_trusted else self._turn:
                await self._post(hook, parcel.errand.id, *event)

    async def _target(self, parcel: Parcel) -> _Target:
        if parcel.notification is not None:
            return await self._of_rollout(parcel.owner.namespace, parcel.notification)
        if (standing := self._standing.found()) is None:
            raise Undelivered(_UNREAD)
        if (found := standing.get(parcel.target)) is None:
            raise Undelivered(_GONE)
        return _Target(found.url.strip(), found.signing_secret, found.text, is_trusted=True)

    async def _of_rollout(self, namespace: str, wanted: Notification) -> _Target:
        ref = wanted.secret_ref
        try:
            values = await read_secret(self._cluster, namespace, ref.name)
        except SecretTrouble as trouble:
            raise Undelivered(f"{trouble}") from None
        for key in filter(None, (ref.key, ref.signing_key)):
            if not values.get(key, "").strip():
                raise Undelivered(f"Secret '{ref.name}' has no text under the key '{key}'")
        secret = values[ref.signing_key].strip() if ref.signing_key else None
        return _Target(values[ref.key].strip(), secret, wanted.text, is_trusted=False)
