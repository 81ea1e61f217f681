"""A switch on real parts: who answers smoke requests wrongly never gets it, and who gets it has it within a second."""

from __future__ import annotations

import pytest
import yaml

from benchmarks.switch.flips import STAGES, flips, watching
from demo.playground import EXAMPLES
from modelrollout.api.status import Phase
from tests.integration.releases import Release, place, release

__all__ = ["place", "release"]

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]


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
