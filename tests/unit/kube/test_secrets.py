"""Secrets that a rollout names: their texts by key, or a sentence for people that holds none of them."""

from __future__ import annotations

import base64

import pytest

from modelrollout.kube import KubeError, Refused, SecretTrouble, Unreachable, read_secret
from modelrollout.kube.errors import LeftAlone
from modelrollout.objects.manifests import Manifest
from tests.fakes.cluster import FakeCluster


def secret(**values: bytes) -> Manifest:
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"namespace": "ml", "name": "alerts"}, "data": data}


async def test_values_are_texts_by_key_and_what_is_no_text_is_left_out() -> None:
    cluster = FakeCluster()
    cluster.put(secret(url=b"https://example.com/hook", image=b"\xff\xfe"))
    assert await read_secret(cluster, "ml", "alerts") == {"url": "https://example.com/hook"}


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (None, "Secret 'alerts' does not exist in namespace 'ml'"),
        (
            LeftAlone("secrets", "/api"),
            "this operator may not read Secrets (integrations.secrets in its chart's values)",
        ),
        (Refused(403, "secrets is forbidden", "/api"), "this operator may not read Secrets"),
        (Unreachable("time-out"), "Secret 'alerts' of namespace 'ml' cannot be read: time-out"),
    ],
)
async def test_trouble_is_told_in_a_sentence_with_the_mend(trouble: KubeError | None, told: str) -> None:
    def fail(*_: str) -> None:
        if trouble is not None:
            raise trouble

    with pytest.raises(SecretTrouble) as caught:
        await read_secret(FakeCluster(hook=fail), "ml", "alerts")
    assert told in str(caught.value)
