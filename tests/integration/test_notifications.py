"""A running operator on an API server tells a receiver of webhooks, and says what it cannot deliver."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio
from standardwebhooks.webhooks import Webhook

from demo.operator_process import operator
from modelrollout.api.crd import definitions
from modelrollout.kube import Cluster
from modelrollout.objects.manifests import Manifest
from tests.clusters import api_server_of_kind
from tests.integration.patience import eventually
from tests.integration.test_refusals import _is_served, rollout, serves, status
from tests.unit.delivery.receivers import Receiver, receiver

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the specification's example


@dataclass
class Place:
    cluster: Cluster
    there: Receiver
    log: Path
    targets: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    directory = tmp_path_factory.mktemp("place")
    targets, log = directory / "targets.yaml", directory / "operator.log"
    async with (
        api_server_of_kind("built-in", directory) as endpoint,
        Cluster.connect(endpoint.kubeconfig, user_agent="test") as cluster,
        receiver() as there,
    ):
        for definition in definitions():
            await cluster.apply(definition, manager="test")
        await eventually(lambda: _is_served(cluster), "ModelRollouts are served")
        targets.write_text(json.dumps({"targets": [{"name": "audit", "url": there.url, "signingSecret": SECRET}]}))
        flags = ("--no-leader-election", f"--notifications={targets}")
        async with operator(endpoint.kubeconfig, "http://127.0.0.1:9", log, flags):
            yield Place(cluster, there, log, targets)


async def namespaced(cluster: Cluster, name: str) -> str:
    await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    return name


async def test_a_promotion_arrives_signed_and_once(place: Place) -> None:
    namespace = await namespaced(place.cluster, "told")
    await place.cluster.create(rollout(namespace))
    await serves(place.cluster, namespace, "v1")

    async def is_struck() -> bool:
        return bool(place.there.got) and not (await status(place.cluster, namespace)).errands

    await eventually(is_struck, "the errand was delivered and struck")
    (got,) = place.there.got
    event = Webhook(SECRET).verify(got.body, got.headers)
    assert (event["type"], event["data"]["version"]) == ("dev.modelrollout.rollout.promoted.v1", "v1")


async def test_a_target_of_a_rollout_is_read_from_its_secret_and_its_trouble_shows_in_a_condition(place: Place) -> None:
    namespace = await namespaced(place.cluster, "refused")
    url = base64.b64encode(f"{place.there.url}?token=hidden".encode()).decode()
    await place.cluster.create(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "alerts", "namespace": namespace},
            "data": {"url": url},
        }
    )
    told: Manifest = rollout(namespace)
    told["spec"]["notifications"] = [{"name": "own", "secretRef": {"name": "alerts"}}]
    await place.cluster.create(told)
    await serves(place.cluster, namespace, "v1")

    async def says() -> str | None:
        found = (await status(place.cluster, namespace)).condition("Delivered")
        return found.message if found is not None else None

    assert await eventually(says, "the condition says so") == (
        "own: its host is an address of this machine or of its network's own services."
    )
    found = await status(place.cluster, namespace)
    assert [one.to for one in found.errands] == [("own",)]
    ready = found.condition("Ready")
    assert ready is not None
    assert ready.status == "True"
    assert "hidden" not in place.log.read_text()
