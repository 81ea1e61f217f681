"""From an errand to a message: whose address it is, which words it has, and what is told when it has none."""

from __future__ import annotations

import asyncio
import json
import logging
import resource
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from modelrollout.api.notifications import USUAL, Notification, SecretKey, Topic
from modelrollout.delivery.deliverer import Parcel, Undelivered
from modelrollout.delivery.notifier import MOST_WEBHOOKS, Notifier
from modelrollout.delivery.standing import StandingTargets
from modelrollout.delivery.webhook import Hook
from modelrollout.objects.manifests import Owner
from tests.fakes.cluster import FakeCluster
from tests.fakes.watched import settle
from tests.unit.delivery.receivers import receiver
from tests.unit.delivery.test_webhook import ERRAND, SECRET
from tests.unit.kube.test_secrets import secret

OWN = Notification(name="audit", secret_ref=SecretKey(name="alerts", key="hook", signing_key="signing"))
PARCEL = Parcel(Owner("ml", "fraud", "uid-fraud"), ERRAND, "audit", OWN)


def standing(tmp_path: Path, text: str) -> StandingTargets:
    (tmp_path / "targets.yaml").write_text(text)
    return StandingTargets(tmp_path / "targets.yaml")


async def refused(cluster: FakeCluster, parcel: Parcel = PARCEL) -> str:
    with pytest.raises(Undelivered) as caught:
        await Notifier(cluster, StandingTargets(None)).carry(parcel)
    return str(caught.value)


async def test_target_of_the_operator_is_told_with_a_link_and_in_its_own_words(tmp_path: Path) -> None:
    async with receiver() as there:
        targets = standing(
            tmp_path, f"targets: [{{name: all, url: '{there.url}', signingSecret: {SECRET}, text: '{{{{ link }}}}'}}]"
        )
        notifier = Notifier(
            FakeCluster(), targets, "https://grafana.example/d/1?var-rollout={{ rollout }}&v={{ message }}"
        )
        await notifier.carry(replace(PARCEL, target="operator/all", notification=None))
    (got,) = there.got
    data: dict[str, Any] = json.loads(got.body)["data"]
    assert data["text"] == data["link"] == "https://grafana.example/d/1?var-rollout=fraud&v=errors%2020%20%25"
    assert notifier.standing() == {"operator/all": frozenset(USUAL)}


async def test_target_of_a_rollout_is_read_from_its_secret_and_may_not_be_this_machine() -> None:
    cluster = FakeCluster()
    cluster.put(secret(hook=b"http://127.0.0.1:1/hidden", signing=SECRET.encode()))
    assert await refused(cluster) == "its host is an address of this machine or of its network's own services"
    assert cluster.requests == {("get", "secrets"): 1}


async def test_receivers_of_rollouts_that_hang_are_no_more_than_some_and_keep_none_of_the_operators_own_waiting(
    tmp_path: Path,
) -> None:
    under_way: list[Hook] = []

    async def post(hook: Hook, *_: object) -> None:
        under_way.append(hook)
        if not hook.is_trusted:
            await asyncio.Event().wait()

    cluster = FakeCluster()
    cluster.put(secret(hook=b"https://hangs.example", signing=SECRET.encode()))
    own = replace(PARCEL, target="operator/all", notification=None)
    notifier = Notifier(cluster, standing(tmp_path, "targets: [{name: all, url: 'https://own.example'}]"), post=post)
    hanging = [asyncio.create_task(notifier.carry(PARCEL)) for _ in range(MOST_WEBHOOKS + 10)]
    await settle()
    async with asyncio.timeout(5):
        await notifier.carry(own)
    assert [one.is_trusted for one in under_way] == [*[False] * MOST_WEBHOOKS, True]
    for one in hanging:
        one.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)


async def test_missing_secret_or_key_is_told_by_name() -> None:
    cluster = FakeCluster()
    assert await refused(cluster) == "Secret 'alerts' does not exist in namespace 'ml'"
    cluster.put(secret(hook=b"https://example.com"))
    assert await refused(cluster) == "Secret 'alerts' has no text under the key 'signing'"
    cluster.put(secret(hook=b"\xff", signing=b"x"))
    assert await refused(cluster) == "Secret 'alerts' has no text under the key 'hook'"


async def test_target_that_left_the_operators_file_is_told() -> None:
    gone = replace(PARCEL, target="operator/all", notification=None)
    assert await refused(FakeCluster(), gone) == "the operator's file of targets has no such name any more"


def test_file_of_targets_is_read_again_when_it_changes_and_stays_as_it_was_while_it_cannot_be_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    targets = standing(tmp_path, "targets: [{name: one, url: 'slack://hidden', topics: [Stuck]}]")
    assert [(name, one.topics) for name, one in targets.found().items()] == [("operator/one", (Topic.STUCK,))]
    with caplog.at_level(logging.ERROR):
        for wrong in (
            "targets: [{name: one, urls: hidden}]",
            "{hidden: [",
            "hidden",
            "targets: [{name: x, url: a, text: '{{ hidden }}'}]",
        ):
            (tmp_path / "next.yaml").write_text(wrong)
            (tmp_path / "next.yaml").rename(tmp_path / "targets.yaml")
            assert list(targets.found()) == ["operator/one"]
            assert list(targets.found()) == ["operator/one"]
        (tmp_path / "targets.yaml").unlink()
        assert list(targets.found()) == ["operator/one"]
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "wrong at targets.0.url, targets.0.urls.",
        "it is not YAML.",
        "wrong at its beginning.",
        "wrong at targets.0.text.",
        "No such file or directory.",
    ]
    (tmp_path / "targets.yaml").write_text("targets: [{name: two, url: 'slack://hidden'}]")
    assert list(targets.found()) == ["operator/two"]
    assert "hidden" not in repr(targets.found())


@pytest.mark.parametrize(
    "text",
    [
        "targets: [{name: 2001-99-99, url: a, topics: [2001-99-99]}]",
        "targets: !!int abc",
        "targets: [{name: !!timestamp foo}]",
        "[" * 1000,
        "a: \udcff",
        f"targets: [{', '.join(f'{{name: t{number}, url: a}}' for number in range(51))}]",
    ],
)
def test_nothing_that_the_file_of_targets_may_say_ends_a_pass(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str
) -> None:
    targets = standing(tmp_path, "targets: [{name: one, url: a}]")
    assert list(targets.found()) == ["operator/one"]
    (tmp_path / "next.yaml").write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "next.yaml").rename(tmp_path / "targets.yaml")
    assert list(targets.found()) == list(targets.found()) == ["operator/one"]
    assert len(caplog.records) == 1


def test_texts_of_the_file_are_texts_whatever_yaml_takes_them_for(tmp_path: Path) -> None:
    targets = standing(tmp_path, "targets: [{name: 2001-01-01, url: yes, signingSecret: 0x1, text: 1.0}]")
    (found,) = targets.found().values()
    assert (found.name, found.url, found.signing_secret, found.text) == ("2001-01-01", "yes", "0x1", "1.0")


def test_file_of_targets_that_could_not_be_read_once_is_read_at_the_next_look(tmp_path: Path) -> None:
    targets = standing(tmp_path, "targets: [{name: one, url: a}]")
    assert list(targets.found()) == ["operator/one"]
    (tmp_path / "next.yaml").write_text("targets: [{name: two, url: a}]")
    (tmp_path / "next.yaml").rename(tmp_path / "targets.yaml")
    usual = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, usual[1]))
    try:
        assert list(targets.found()) == ["operator/one"]  # too many files are open
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert list(targets.found()) == ["operator/two"]


async def test_until_the_file_was_read_once_nobody_knows_who_is_in_it(tmp_path: Path) -> None:
    targets = standing(tmp_path, "{hidden: [")
    notifier = Notifier(FakeCluster(), targets)
    assert notifier.standing() is None
    with pytest.raises(Undelivered, match="the operator's file of targets cannot be used"):
        await notifier.carry(replace(PARCEL, target="operator/all", notification=None))
    (tmp_path / "targets.yaml").unlink()
    assert notifier.standing() is None
    standing(tmp_path, "targets: []")
    assert notifier.standing() == {}


def test_without_a_file_nobody_is_told_of_all_rollouts() -> None:
    assert Notifier(FakeCluster(), StandingTargets(None)).standing() == {}
