"""Who has accepted a route as it is, from what gateways say of it."""

from __future__ import annotations

from typing import Any

import pytest

from modelrollout.objects.manifests import Manifest
from modelrollout.traffic.acceptance import accepted, awaited

GATEWAY = {"name": "g"}


def route(*refs: Manifest, generation: int = 3, parents: Any = None) -> Manifest:
    metadata = {"namespace": "ml", "name": "fraud", "generation": generation}
    status = {} if parents is None else {"status": {"parents": parents}}
    return {"kind": "HTTPRoute", "metadata": metadata, "spec": {"parentRefs": list(refs)}, **status}


def said(ref: Manifest, status: str = "True", generation: int | None = 3, type_: str = "Accepted") -> Manifest:
    observed = {} if generation is None else {"observedGeneration": generation}
    return {"parentRef": ref, "conditions": [{"type": type_, "status": status, **observed}]}


@pytest.mark.parametrize(
    ("why", "refs", "parents", "is_awaited"),
    [
        ("nothing was said", [GATEWAY], None, True),
        ("this generation was accepted", [GATEWAY], [said(GATEWAY)], False),
        ("a later one was", [GATEWAY], [said(GATEWAY, generation=4)], False),
        ("an older one was", [GATEWAY], [said(GATEWAY, generation=2)], True),
        ("one was accepted, nobody says which", [GATEWAY], [said(GATEWAY, generation=None)], True),
        ("it is not known yet", [GATEWAY], [said(GATEWAY, "Unknown")], True),
        ("its backends alone are known", [GATEWAY], [said(GATEWAY, type_="ResolvedRefs")], True),
        ("one of two has accepted", [GATEWAY, {"name": "other"}], [said({"name": "other"})], False),
        ("defaults are filled in", [GATEWAY], [said({**GATEWAY, "namespace": "ml", "kind": "Gateway"})], False),
        ("a gateway of another namespace accepts", [GATEWAY], [said({**GATEWAY, "namespace": "infra"})], True),
        ("a gateway that is not asked accepts", [GATEWAY], [said({"name": "other"})], True),
        ("no conditions are there", [GATEWAY], [{"parentRef": GATEWAY}], True),
        ("no parent is named", [], [said(GATEWAY)], True),
    ],
)
def test_somebody_is_awaited_when(why: str, refs: list[Manifest], parents: Any, is_awaited: bool) -> None:
    assert (awaited(route(*refs, parents=parents)) is not None) is is_awaited


def test_route_that_all_have_accepted_is_awaited_by_nobody() -> None:
    whole = accepted(route(GATEWAY, {"name": "other", "namespace": "infra"}))
    assert awaited(whole) is None
    assert len(whole["status"]["parents"]) == 2


def test_route_without_a_gateway_says_so() -> None:
    assert awaited(route()) == "HTTPRoute 'ml/fraud' names no Gateway that could accept it."
