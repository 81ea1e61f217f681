"""`modelrollout disagreements`: what the comparer's pods keep, for people and for machines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelrollout.cli.disagreements import Found, NobodyComparesError, as_json, as_text, kept
from modelrollout.kube import Listing, Unreachable
from modelrollout.objects.manifests import Manifest
from modelrollout.objects.resources import PODS, Resource


def disagreement(time: str, **rest: Any) -> dict[str, Any]:
    reply = {"status": 200, "bytes": 12, "seconds": 0.0123}
    about = {"reason": "value", "segment": "all", "method": "POST", "path": "/predict", "requestId": "r1"}
    return {"time": time, **about, "stable": reply, "candidate": {"trouble": "timeout", "seconds": 5.0}, **rest}


@dataclass
class Comparers:
    """Pods that compare, and what each keeps; None: it does not answer."""

    keeping: Mapping[str, list[dict[str, Any]] | None]
    asked: list[tuple[str, str, int, str]] = field(default_factory=list)

    async def list(self, resource: Resource, namespace: str | None = None, *, labels: Mapping[str, str]) -> Listing:
        assert (resource, namespace, labels) == (PODS, "ml", {"modelrollout.dev/comparer": "fraud"})
        return Listing([{"metadata": {"name": name}} for name in self.keeping], "1")

    async def ask_pod(self, namespace: str, name: str, port: int, path: str) -> Manifest:
        self.asked.append((namespace, name, port, path))
        if (found := self.keeping[name]) is None:
            raise Unreachable("no route")
        return {"rollout": "fraud", "disagreements": found}


async def test_asks_every_pod_and_shows_the_newest_first() -> None:
    pods = Comparers({"a": [disagreement("12:03"), disagreement("12:01")], "b": [disagreement("12:02")]})
    found = await kept(pods, "ml", "fraud")
    assert pods.asked == [("ml", "a", 9090, "/disagreements"), ("ml", "b", 9090, "/disagreements")]
    assert [(one["time"], one["pod"]) for one in found.disagreements] == [
        ("12:03", "a"),
        ("12:02", "b"),
        ("12:01", "a"),
    ]
    assert found.silent == ()


async def test_a_pod_that_does_not_answer_is_named_and_hides_nothing() -> None:
    found = await kept(Comparers({"a": None, "b": [disagreement("12:02")]}), "ml", "fraud")
    assert found.silent == ("Pod 'a' did not answer: no route",)
    assert as_text(found).splitlines()[-1] == "Pod 'a' did not answer: no route"


@pytest.mark.parametrize(("pods", "told"), [({}, "Nobody compares answers"), ({"a": None}, "Pod 'a' did not answer")])
async def test_says_when_there_is_nobody_to_ask(pods: dict[str, None], told: str) -> None:
    with pytest.raises(NobodyComparesError, match=told):
        await kept(Comparers(pods), "ml", "fraud")


def test_people_get_a_table() -> None:
    assert as_text(Found((disagreement("12:01"),))) == (
        "TIME    REASON   SEGMENT   REQUEST         REQUEST ID   STABLE                 CANDIDATE\n"
        "12:01   value    all       POST /predict   r1           200, 12 bytes, 12 ms   timeout, 5000 ms\n"
    )


def test_bodies_stand_below_and_write_nothing_on_the_terminal() -> None:
    bodies = {"requestBody": {"a": 1}, "stableBody": "\x1b[2Jgone", "candidateBody": None}
    assert as_text(Found((disagreement("12:01", **bodies),))).splitlines()[2:] == [
        "",
        "12:01 value",
        '  request: {"a": 1}',
        "  stable: �[2Jgone",
        "  candidate: null",
    ]


def test_nothing_kept_is_said() -> None:
    assert as_text(Found(())) == "No disagreement is kept.\n"


def test_machines_get_one_a_line() -> None:
    found = Found((disagreement("12:02"), disagreement("12:01")))
    assert [json.loads(line)["time"] for line in as_json(found).splitlines()] == ["12:02", "12:01"]
