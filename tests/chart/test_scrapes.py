"""What scrapes the operator finds its port, and `helm test` tells one that is healthy from one that hangs."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from modelrollout.objects.manifests import Manifest
from modelrollout.shell.probes import Probes
from modelrollout.shell.telemetry import OVERDUE, Telemetry
from tests.chart.helm import Values, container, needs_helm, of_kind, only, rendered

pytestmark = needs_helm

SERVICE: Values = {"metrics": {"service": {"enabled": True}}}
SERVICE_MONITOR: Values = {"metrics": {"service": {"enabled": True}, "serviceMonitor": {"enabled": True}}}
POD_MONITOR: Values = {"metrics": {"podMonitor": {"enabled": True}}}


def selects(labels: Mapping[str, str], one: Manifest) -> bool:
    return bool(labels) and labels.items() <= one["metadata"]["labels"].items()


def pod_port(objects: list[Manifest], name: str) -> int:
    """The number of a port of the operator's pods, by its name."""
    (found,) = [one["containerPort"] for one in container(objects)["ports"] if one["name"] == name]
    return int(found)


def metrics_service(objects: list[Manifest]) -> Manifest:
    (found,) = [one for one in of_kind(objects, "Service") if one["metadata"]["name"].endswith("-metrics")]
    return found


def listens_on(objects: list[Manifest]) -> int:
    """Where the process serves /healthz and /metrics."""
    told = [one.removeprefix("--port=") for one in container(objects)["args"] if one.startswith("--port=")]
    return int(told[0])


def test_the_service_leads_to_the_port_of_the_operators_pods_and_to_no_other_pod() -> None:
    objects = rendered(SERVICE)
    service, template = metrics_service(objects), only(objects, "Deployment")["spec"]["template"]
    (port,) = service["spec"]["ports"]
    assert pod_port(objects, port["targetPort"]) == listens_on(objects)
    assert selects(service["spec"]["selector"], template)
    assert not selects(service["spec"]["selector"], only(objects, "Pod"))  # that of `helm test`


def test_a_service_monitor_selects_this_service_alone_by_a_port_that_it_has() -> None:
    objects = rendered({**SERVICE_MONITOR, "webhook": {"enabled": True}})
    monitor = only(objects, "ServiceMonitor")["spec"]
    service = metrics_service(objects)
    assert [one for one in of_kind(objects, "Service") if selects(monitor["selector"]["matchLabels"], one)] == [service]
    assert [one["port"] for one in monitor["endpoints"]] == [one["name"] for one in service["spec"]["ports"]]


def test_a_pod_monitor_selects_the_operators_pods_by_a_port_that_they_have() -> None:
    objects = rendered(POD_MONITOR)
    monitor = only(objects, "PodMonitor")["spec"]
    assert selects(monitor["selector"]["matchLabels"], only(objects, "Deployment")["spec"]["template"])
    assert [pod_port(objects, one["port"]) for one in monitor["podMetricsEndpoints"]] == [listens_on(objects)]


@pytest.mark.parametrize(("late", "code"), [(0.0, 0), (OVERDUE + 1, 1)], ids=["healthy", "hangs"])
async def test_what_helm_test_runs_ends_well_where_the_operator_does(late: float, code: int) -> None:
    moments = iter([0.0])
    telemetry = Telemetry(clock=lambda: next(moments, late))
    telemetry.next_pass(("ml", "fraud"), 0)
    probes = Probes(telemetry, "127.0.0.1", 0)
    port = await probes.start()
    try:
        assert await ended(f"http://127.0.0.1:{port}") == code
    finally:
        await probes.stop()


async def ended(operator: str) -> int:
    """With which code the command of `helm test` ended, asking there instead of at the Service."""
    objects = rendered(SERVICE)
    (test,) = only(objects, "Pod")["spec"]["containers"]
    service = metrics_service(objects)
    (port,) = service["spec"]["ports"]
    *command, asked = test["command"]
    assert asked == f"http://{service['metadata']['name']}:{port['port']}"
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(*command, operator, env=environment)
    return await process.wait()
