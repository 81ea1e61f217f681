"""The pure parts of running pods as processes: images, environments, probes, statuses, addresses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from localcluster.pods.addresses import Addresses
from localcluster.pods.environment import UnsupportedError, at_home, environment, expand
from localcluster.pods.images import Images, NoSuchImageError, command_of, folder_of, name_of, parse
from localcluster.pods.probes import Probe
from localcluster.pods.status import pod_status

HERE = Path("/images/digits")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("digits", "digits"),
        ("digits:v1", "digits"),
        ("registry.example:5000/ml/digits", "registry.example:5000/ml/digits"),
        ("registry.example:5000/ml/digits:v1@sha256:abc", "registry.example:5000/ml/digits"),
    ],
)
def test_an_image_is_known_by_its_name_whatever_its_tag(reference: str, name: str) -> None:
    assert name_of(reference) == name


def test_a_tag_of_its_own_comes_before_the_name(tmp_path: Path) -> None:
    images = Images({"digits": tmp_path, "digits:broken": tmp_path / "broken"})
    assert images.find("digits:v7").folder == tmp_path
    assert images.find("digits:broken").folder == tmp_path / "broken"


def test_an_unknown_image_names_the_known_ones() -> None:
    with pytest.raises(NoSuchImageError, match='"fraud:v1": the local cluster has no such image; it has digits'):
        Images({"digits": HERE}).find("fraud:v1")


DOCKERFILE = """\
FROM python:3.12-slim
WORKDIR /srv/app
ENV HOST=0.0.0.0 GREETING="good day" \\
    PORT=8080
ENV OLD and plain
RUN pip install x
ENTRYPOINT ["python", "server.py"]
CMD ["--version", "v1"]
"""


def test_a_dockerfile_says_how_its_image_starts() -> None:
    image = parse(HERE, DOCKERFILE)
    assert (image.entrypoint, image.cmd) == (("python", "server.py"), ("--version", "v1"))
    assert image.environment == {"HOST": "0.0.0.0", "GREETING": "good day", "PORT": "8080", "OLD": "and plain"}  # noqa: S104


@pytest.mark.parametrize(
    ("container", "command"),
    [
        ({}, ["python", "server.py", "--version", "v1"]),
        ({"args": ["--version", "v2"]}, ["python", "server.py", "--version", "v2"]),
        ({"command": ["sleep"]}, ["sleep"]),
        ({"command": ["sleep"], "args": ["1"]}, ["sleep", "1"]),
    ],
)
def test_command_and_args_replace_what_the_image_says(container: Any, command: list[str]) -> None:
    assert command_of(parse(HERE, DOCKERFILE), container) == command


def test_a_start_command_in_shell_form_goes_through_the_shell() -> None:
    assert command_of(parse(HERE, "CMD python server.py"), {}) == ["/bin/sh", "-c", "python server.py"]


@pytest.mark.parametrize(
    ("working_dir", "folder"),
    [(None, HERE), ("/srv/app", HERE), ("/srv/app/models", HERE / "models"), ("/tmp", Path("/tmp"))],  # noqa: S108
)
def test_the_images_folder_stands_for_its_workdir(working_dir: str | None, folder: Path) -> None:
    assert folder_of(parse(HERE, DOCKERFILE), working_dir) == folder


def pod(**metadata: Any) -> Any:
    return {
        "metadata": {"name": "web-1", "namespace": "ml", "uid": "u", **metadata},
        "spec": {},
        "status": {"podIP": "127.64.0.1", "hostIP": "127.0.0.1"},
    }


def variables(*env: Any, base: Any = None) -> dict[str, str]:
    return environment(pod(labels={"app": "web"}), {"name": "server", "env": list(env)}, base or {})


def test_variables_see_the_ones_before_them() -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)$(C)$$(A)"}, {"name": "C", "value": "3"}]
    assert variables(*env, base={"PATH": "/bin"}) == {"PATH": "/bin", "A": "1", "B": "1$(C)$(A)", "C": "3"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web-1"),
        ("metadata.namespace", "ml"),
        ("metadata.labels['app']", "web"),
        ("metadata.annotations['none']", ""),
        ("status.podIP", "127.64.0.1"),
        ("status.hostIP", "127.0.0.1"),
    ],
)
def test_a_variable_can_name_a_field_of_the_pod(path: str, value: str) -> None:
    assert variables({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}) == {"X": value}


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ({"fieldRef": {"fieldPath": "spec.nothing"}}, "variable X: there is no field spec.nothing"),
        ({"configMapKeyRef": {"name": "c", "key": "k"}}, "fieldRef only, not configMapKeyRef"),
    ],
)
def test_what_a_variable_cannot_be_is_said(source: Any, why: str) -> None:
    with pytest.raises(UnsupportedError, match=why):
        variables({"name": "X", "valueFrom": source})


def test_a_command_is_filled_in_from_the_variables() -> None:
    assert expand("--port=$(PORT)", {"PORT": "80"}) == "--port=80"


@pytest.mark.parametrize(
    ("text", "here"),
    [
        ("0.0.0.0", "127.64.0.1"),  # noqa: S104
        ("http://0.0.0.0:80", "http://127.64.0.1:80"),
        ("10.0.0.0", "10.0.0.0"),
        ("1.0.0.0.0", "1.0.0.0.0"),
    ],
)
def test_all_addresses_of_a_pod_are_its_one_address(text: str, here: str) -> None:
    assert at_home(text, "127.64.0.1") == here


def probe(purpose: Any = "readiness", **given: Any) -> Probe:
    container = {"name": "server", "ports": [{"name": "http", "containerPort": 8080}]}
    found = Probe.of({**container, f"{purpose}Probe": {"httpGet": {"port": "http"}, **given}}, purpose)
    assert found
    return found


def test_a_probe_knows_its_port_by_name() -> None:
    assert probe().action["port"] == 8080


def test_a_probe_of_an_undeclared_port_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="names port 'grpc', which container server does not declare"):
        probe(httpGet={"port": "grpc"})


@pytest.mark.parametrize(
    ("purpose", "given", "rhythm"),
    [
        ("readiness", {}, (1, 3)),
        ("readiness", {"periodSeconds": 10}, (1, 3)),  # an API server writes ten where nothing was given
        ("readiness", {"periodSeconds": 2, "failureThreshold": 1}, (2, 1)),
        ("liveness", {}, (10, 3)),
        ("startup", {"periodSeconds": 10, "failureThreshold": 30}, (1, 300)),  # as patient, but quicker to see it
    ],
)
def test_probes_look_often_without_getting_impatient(purpose: Any, given: Any, rhythm: tuple[float, int]) -> None:
    found = probe(purpose, **given)
    assert (found.period, found.failures) == rhythm


async def test_a_verdict_takes_as_many_answers_in_a_row_as_the_thresholds_say() -> None:
    answers = iter([False, True, False, False, False, True, False, False, True, True, True])
    quick = Probe("liveness", {}, delay=0, period=0, timeout=1, successes=2, failures=3)
    asked = 0

    async def answer(_: Probe) -> tuple[bool, str]:
        nonlocal asked
        asked += 1
        return next(answers), ""

    seen: list[tuple[bool, int]] = []
    async with asyncio.timeout(5):
        async for passed, _ in quick.verdicts(answer):
            seen.append((passed, asked))
            if len(seen) == 2:
                break
    assert seen == [(False, 5), (True, 10)]


RUNNING = {"running": {"startedAt": "2026-01-01T12:00:00Z"}}
WAITING = {"waiting": {"reason": "CrashLoopBackOff"}}


def ended(code: int) -> Any:
    return {"terminated": {"exitCode": code}}


def container(state: Any, *, ready: bool = False, last: Any = None, count: int = 0, name: str = "server") -> Any:
    return {"name": name, "ready": ready, "restartCount": count, "state": state, "lastState": last or {}}


def status(*containers: Any, restarts: bool = True, leaving: bool = False, before: Any = None, inits: Any = ()) -> Any:
    return pod_status(
        before or {},
        address="127.64.0.1",
        inits=list(inits),
        containers=list(containers),
        restarts=restarts,
        leaving=leaving,
        now=NOON,
    )


def ready(found: Any) -> str:
    return str(next(c for c in found["conditions"] if c["type"] == "Ready")["status"])


@pytest.mark.parametrize(
    ("containers", "restarts", "phase"),
    [
        ([container({"waiting": {"reason": "ContainerCreating"}})], True, "Pending"),
        ([container({"waiting": {"reason": "ErrImagePull"}})], True, "Pending"),
        ([container(RUNNING)], True, "Running"),
        ([container(RUNNING), container({"waiting": {}})], True, "Pending"),
        ([container(WAITING, last=ended(1))], True, "Running"),
        ([container(ended(1))], True, "Running"),
        ([container(ended(0))], False, "Succeeded"),
        ([container(ended(0)), container(ended(2))], False, "Failed"),
        ([container(ended(0)), container(RUNNING)], False, "Running"),
    ],
)
def test_the_phase_follows_from_the_containers(containers: list[Any], restarts: bool, phase: str) -> None:
    assert status(*containers, restarts=restarts)["phase"] == phase


def test_a_pod_is_ready_when_all_its_containers_are() -> None:
    assert ready(status(container(RUNNING, ready=True))) == "True"
    half = status(container(RUNNING, ready=True), container(RUNNING, name="sidecar"))
    assert ready(half) == "False"
    assert half["conditions"][-1]["message"] == "containers with unready status: [sidecar]"


def test_a_pod_on_its_way_out_is_not_ready_whatever_its_containers_are() -> None:
    assert ready(status(container(RUNNING, ready=True), leaving=True)) == "False"


def test_a_failed_init_container_fails_a_pod_that_is_not_restarted() -> None:
    first = container(ended(1), name="first")
    assert status(container({"waiting": {}}), inits=[first], restarts=False)["phase"] == "Failed"


def test_the_time_of_a_condition_moves_only_with_its_status() -> None:
    earlier = "2026-01-01T11:00:00Z"
    before = {"conditions": [{"type": "Ready", "status": "False", "lastTransitionTime": earlier}], "startTime": earlier}
    still = status(container(RUNNING), before=before)
    assert (still["conditions"][-1]["lastTransitionTime"], still["startTime"]) == (earlier, earlier)
    turned = status(container(RUNNING, ready=True), before=before)
    assert turned["conditions"][-1]["lastTransitionTime"] == "2026-01-01T12:00:00Z"


def test_two_local_clusters_never_share_an_address() -> None:
    with Addresses() as one, Addresses() as other:
        mine, theirs = {one.take() for _ in range(300)}, {other.take() for _ in range(300)}
        assert len(mine) == len(theirs) == 300
        assert not mine & theirs


def test_an_address_comes_back_only_after_all_others_were_used() -> None:
    with Addresses() as addresses:
        first = addresses.take()
        addresses.give_back(first)
        assert first not in {addresses.take() for _ in range(253)}
        assert addresses.take() == first
