"""An upgrade in the middle of a rollout: what the version before wrote is read back, and the rollout goes on."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from modelrollout.api.status import ModelRolloutStatus, Phase
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import KNOWN
from tests.fakes.cluster import FakeCluster, copied
from tests.fakes.controllers import accept_routes
from tests.fakes.town import NOON, Town
from tests.fakes.witness import Witness
from tests.places import ROOT

RECORDED = ROOT / "tests" / "recorded"
RECORDS: dict[str, Any] = {path.stem: json.loads(path.read_text()) for path in sorted(RECORDED.glob("*.json"))}
EVIDENCE = [
    name for name, record in RECORDS.items() if record["next"]["phase"] in ("Progressing", "Promoting", "Baking")
]
STEADY = [name for name, record in RECORDS.items() if name.startswith(("healthy", "rolled-back"))]

Key = tuple[str, str, str]


def key(manifest: Manifest) -> Key:
    resource, metadata = KNOWN[manifest["apiVersion"], manifest["kind"]], manifest["metadata"]
    return (resource.plural, metadata["namespace"], metadata["name"])


def taken_over(name: str) -> Town:
    """The recorded world, in which today's operator has just been started."""
    record = copied(RECORDS[name])
    objects = [*map(with_available_pods, record["objects"]), record["rollout"]]
    applied: dict[Key, dict[str, Manifest]] = {}
    for write in record["applied"]:
        applied.setdefault(key(write["manifest"]), {})[write["manager"]] = write["manifest"]
    version = max(int(manifest["metadata"]["resourceVersion"]) for manifest in objects)
    town = Town(FakeCluster({key(manifest): manifest for manifest in objects}, applied=applied, version=version))
    accept_routes(town.cluster)  # the worlds were recorded without a gateway
    town.now = datetime.fromisoformat(record["now"])
    town.metrics.note_share(NOON)
    town.restart()
    return town


def with_available_pods(manifest: Manifest) -> Manifest:
    """The fake controllers of then left out availableReplicas, which Kubernetes always counts."""
    status = manifest.get("status") or {}
    if not status.get("readyReplicas"):
        return manifest
    return {**manifest, "status": {**status, "availableReplicas": status["readyReplicas"]}}


def newest(status: ModelRolloutStatus) -> str:
    """The revision that the record is about: the one on trial, taken back, or promoted."""
    arm = status.candidate or (status.rejected[0] if status.rejected else status.stable)
    assert arm is not None
    return arm.revision


def stands(town: Town) -> dict[str, Any]:
    """Where the rollout stands, as records say it."""
    stage = town.status.stage
    place = None if stage is None else stage.model_dump(include={"name", "index", "step", "weight"})
    (shares,) = town.shares().values() or ({},)
    return {"phase": town.phase, "stage": place, "shares": shares}


def mend(town: Town) -> None:
    """Correct the field that a record's user misspelled."""
    spec = {**town.manifest["spec"], "promotion": {"bake": "2m", "keepOld": "5m"}}
    town.cluster.put({**town.manifest, "spec": spec})


def course(town: Town, *, until: str) -> list[list[Any]]:
    """Every phase and weight from here to the last phase, and a while longer."""
    places: list[list[Any]] = []

    def note(town: Town) -> bool:
        place = [town.phase, town.status.stage and town.status.stage.weight]
        places.extend([place] if places[-1:] != [place] else [])
        return place[0] == until

    town.run(until=note, minutes=40)
    for _ in range(30):
        town.step()
        note(town)
    return places


@pytest.mark.parametrize("name", RECORDS)
def test_first_pass_after_an_upgrade_decides_as_the_version_before_would_have(name: str) -> None:
    town = taken_over(name)
    town.pass_()
    assert stands(town) == RECORDS[name]["next"]


@pytest.mark.parametrize("name", [name for name in RECORDS if not name.startswith("invalid")])
def test_upgrade_knows_the_revision_by_the_name_that_the_version_before_gave_it(name: str) -> None:
    town = taken_over(name)
    wish = town.rollout().wish
    assert wish is not None
    assert wish.revision == newest(town.status)


@pytest.mark.parametrize("port", [8080, 9090])
@pytest.mark.parametrize("name", STEADY)
def test_old_name_stands_for_the_port_that_it_was_used_with(name: str, port: int) -> None:
    town = taken_over(name)
    spec = town.manifest["spec"]
    town.cluster.put({**town.manifest, "spec": {**spec, "traffic": {**spec["traffic"], "port": port}}})
    wish = town.rollout().wish
    assert wish is not None
    assert (wish.revision == newest(town.status)) is (port == 8080)


@pytest.mark.parametrize("name", STEADY)
def test_upgrade_writes_nothing_where_nothing_happens(name: str) -> None:
    town = taken_over(name)
    town.run(seconds=10)
    assert town.cluster.log == []


@pytest.mark.parametrize("name", EVIDENCE)
def test_evidence_outlives_an_upgrade(name: str) -> None:
    town = taken_over(name)
    before, samples = town.status.evidence, [verdict.samples or 0 for verdict in town.status.verdicts]
    town.run(seconds=40)
    after = town.status.evidence
    assert before is not None
    assert after is not None
    assert after.usual == before.usual
    assert (after.start, after.tick, after.planned) == (before.start, before.tick, before.planned)
    kept = {(one.metric, one.basis): one.ticks for one in after.metrics}
    assert before.metrics or name.startswith(("at-5", "promoting"))
    assert all(kept[one.metric, one.basis] >= one.ticks for one in before.metrics)
    assert all((verdict.samples or 0) >= n for verdict, n in zip(town.status.verdicts, samples, strict=True))


@pytest.mark.parametrize("name", RECORDS)
def test_rollout_goes_on_after_an_upgrade_to_its_end(name: str) -> None:
    town = taken_over(name)
    Witness(town)
    subject = newest(town.status)
    seen = [town.share(subject)]
    town.cluster.witnesses.append(lambda *_: seen.append(town.share(subject)))
    town.pass_()
    if town.phase is Phase.INVALID:
        mend(town)
    expected = RECORDS[name]["course"]
    assert course(town, until=expected[-1][0]) == expected
    assert seen == sorted(seen), "traffic never falls on account of an upgrade"
    assert seen[-1] == (0 if town.phase is Phase.ROLLED_BACK else 100)
