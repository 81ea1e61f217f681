"""Shadow and blueGreen stages on real parts.

Shadow: Envoy copies, a comparer asks both, Prometheus counts. A switch: who answers smoke requests wrongly never gets
it, and who gets it has it within a second.
"""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from benchmarks.switch.flips import STAGES, flips, watching
from demo.playground import EXAMPLES
from modelrollout.api.status import Phase
from modelrollout.cli.disagreements import NobodyComparesError, kept
from modelrollout.objects.manifests import COMPARER_LABEL
from modelrollout.objects.resources import DEPLOYMENTS, HTTP_ROUTES, PODS
from tests.integration.releases import Release, comes_true, place, release

__all__ = ["place", "release"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

COMPARE = {"minAgreement": "88%", "agreement": {"path": "$.label"}, "segment": {"header": "x-true-label", "values": 3}}
SHADOW = {"name": "shadow", "shadow": {"methods": ["POST"], "hold": "5s", "compare": COMPARE}}
CANARY = {"name": "canary", "canary": {"weights": [50, 100], "hold": "3s"}}


async def compares(release: Release) -> None:
    """Judged by errors and by agreement: in real life, true labels arrive when the release is over."""
    await release.judge_by("errors")
    await release.patch({"stages": [SHADOW, CANARY]})


async def comparers(release: Release) -> list[dict[str, Any]]:
    found = await release.place.local.cluster.list(PODS, release.namespace, labels={COMPARER_LABEL: release.name})
    return found.items


async def disagreements(release: Release) -> list[dict[str, Any]]:
    """What `modelrollout disagreements` shows; nothing while there is nobody to ask."""
    try:
        found = await kept(release.place.local.cluster, release.namespace, release.name)
    except NobodyComparesError:
        return []
    return [*found.disagreements]


async def is_tidy(release: Release) -> bool:
    """Nothing of the stage is left, and no copy goes anywhere."""
    cluster = release.place.local.cluster
    deployments = (await cluster.list(DEPLOYMENTS, release.namespace)).items
    route = await cluster.read(HTTP_ROUTES, release.namespace, release.name)
    left = [one["metadata"]["name"] for one in deployments if one["metadata"]["name"].endswith("-cmp")]
    return not left and not await comparers(release) and "requestMirror" not in str(route)


async def keeps_some(release: Release) -> bool:
    return bool(await disagreements(release))


async def test_wrong_answers_without_any_error_are_caught_before_users_meet_them_and_like_answers_go_on(
    release: Release,
) -> None:
    await compares(release)
    async with release.users() as users:
        await release.version("v4")
        # A real API server passes nothing on to loopback, where the pods of a local cluster are: see test_pod_proxy.py.
        if release.place.local.kubernetes.kind == "built-in":
            await comes_true(lambda: keeps_some(release), 60)
            (one, *_) = await disagreements(release)
            assert one["reason"] == "number"
            assert "stableBody" not in one
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK, 90)
        assert status.rejected[0].reason == "MetricFailed"
        assert status.rejected[0].message.startswith("shadow-agreement:")
        await comes_true(lambda: is_tidy(release), 30)
    assert {by for by, count in users.snapshot().by_version.items() if count} == {"v1"}
    async with release.users():
        await release.version("v2")
        await release.at(50, 120)
        await comes_true(lambda: is_tidy(release), 30)


async def test_a_model_that_is_quietly_wrong_is_found_by_a_smoke_request_before_anybody_meets_it(
    release: Release,
) -> None:
    (stage,) = yaml.safe_load((EXAMPLES / "blue-green.yaml").read_text())["spec"]["stages"]
    smoke = stage["blueGreen"]["smoke"]
    await release.patch(
        {"stages": [{"name": "switch", "blueGreen": {"smoke": smoke, "smokeDeadline": "3s", "hold": "3s"}}]}
    )
    async with release.users() as users:
        await release.version("v4")  # every 1 and 7 mixed up, without any error
        status = await release.until(lambda s: s.phase is Phase.ROLLED_BACK, seconds=90)
        (entry,) = status.rejected
        assert entry.reason == "SmokeFailed"
        assert "expected $.label to be 7, got 1" in entry.message
        await release.version("v2")
        await release.serves("v2", seconds=90)
    versions = {outcome.version for outcome in users.outcomes}
    assert versions == {"v1", "v2"}
    await release.lost_no_request_of(users)


async def test_a_switch_is_seen_by_all_users_soon_after_it_was_decided_and_loses_no_request(release: Release) -> None:
    """`make bench-switch` measures it: a third of a second, or half of one. Here is room for a busy machine."""
    await release.patch({"stages": STAGES, "analysis": {"stepDeadline": "2h"}})
    cluster = release.place.local.cluster
    async with release.users() as users, watching(cluster, release.namespace, release.name) as seen:
        found = [flip async for flip in flips(seen, users, "v1", "v2", count=2)]
    assert [flip.way for flip in found] == ["over", "back", "over", "back"]
    assert [flip.lost for flip in found] == [0] * 4
    assert max(flip.from_begin for flip in found) < 5, found
