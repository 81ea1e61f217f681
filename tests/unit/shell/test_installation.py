"""An operator begins once the API server serves ModelRollouts and lets it see them."""

from __future__ import annotations

import logging

import pytest

from modelrollout.kube import Refused
from modelrollout.shell.installation import rollouts_are_served
from tests.fakes.cluster import FakeCluster

UNKNOWN = Refused(404, "the API server does not know modelrollouts; is the CRD installed?", "/apis")
FORBIDDEN = Refused(403, "modelrollouts is forbidden", "/apis")


async def test_it_waits_for_the_definition_and_tells_each_reason_once(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Refused | None] = [UNKNOWN, UNKNOWN, FORBIDDEN, FORBIDDEN, None]
    pauses = []

    def answering(moment: str, verb: str, plural: str, name: str) -> None:
        if moment == "before" and (answer := answers.pop(0)) is not None:
            raise answer

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    with caplog.at_level(logging.WARNING):
        await rollouts_are_served(FakeCluster(hook=answering), ("ml",), sleep)  # type: ignore[arg-type]
    assert (len(pauses), answers) == (4, [])
    assert [record.getMessage().split(": ", 2)[2] for record in caplog.records] == [
        "the API server does not know modelrollouts; is the CRD installed? (404)",
        "modelrollouts is forbidden (403)",
    ]
