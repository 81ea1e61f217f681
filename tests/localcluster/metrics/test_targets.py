"""Which pods the local cluster's Prometheus scrapes, where, and under which labels."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from localcluster.metrics.targets import configuration, target_groups

HTTP = {"name": "http", "containerPort": 8080}


def pod(
    name: str = "fraud-x7k2p",
    *,
    ip: str | None = "127.64.0.5",
    phase: str = "Running",
    ports: Any = (HTTP,),
    labels: Any = None,
    annotations: Any = None,
    **metadata: Any,
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": "ml", "name": name, "labels": labels, "annotations": annotations, **metadata},
        "spec": {"containers": [{"name": "sidecar"}, {"name": "server", "ports": list(ports)}]},
        "status": {"phase": phase} | ({"podIP": ip} if ip else {}),
    }


def only(item: dict[str, Any]) -> dict[str, Any]:
    (group,) = target_groups([item])
    return group


def test_a_pod_is_scraped_at_its_port_named_http_under_its_names() -> None:
    ports = ({"name": "grpc", "containerPort": 9000}, HTTP)
    assert only(pod(ports=ports)) == {
        "targets": ["127.64.0.5:8080"],
        "labels": {"namespace": "ml", "pod": "fraud-x7k2p", "container": "server"},
    }


def test_labels_of_the_pod_come_along_with_names_that_prometheus_allows() -> None:
    labels = {"app": "fraud", "app.kubernetes.io/name": "fraud", "2nd": "yes", "pod": "not this"}
    assert only(pod(labels=labels))["labels"] == {
        "app": "fraud",
        "app_kubernetes_io_name": "fraud",
        "_2nd": "yes",
        "namespace": "ml",
        "pod": "fraud-x7k2p",
        "container": "server",
    }


def test_annotations_say_another_port_and_path() -> None:
    annotations = {"prometheus.io/port": "9102", "prometheus.io/path": "/stats"}
    assert only(pod(annotations=annotations)) == {
        "targets": ["127.64.0.5:9102"],
        "labels": {"namespace": "ml", "pod": "fraud-x7k2p", "__metrics_path__": "/stats"},
    }


def test_a_declared_port_that_is_annotated_names_its_container_once() -> None:
    annotations = {"prometheus.io/port": "9000"}
    ports = ({"name": "admin", "containerPort": 9000}, HTTP)
    group = only(pod(annotations=annotations, ports=ports))
    assert (group["targets"], group["labels"]["container"]) == (["127.64.0.5:9000"], "server")


def test_a_terminating_pod_is_scraped_until_it_is_gone() -> None:
    assert only(pod(deletionTimestamp="2026-01-01T12:00:00Z")) == only(pod())


def test_a_pod_is_scraped_as_soon_as_it_has_an_address() -> None:
    assert only(pod(phase="Pending")) == only(pod())


@pytest.mark.parametrize(
    "left_out",
    [
        pod(ip=None),
        pod(phase="Succeeded"),
        pod(phase="Failed"),
        pod(ports=()),
        pod(ports=[{"containerPort": 8080}]),
        pod(ip="10.244.1.7"),
        pod(annotations={"prometheus.io/scrape": "false"}),
        pod(annotations={"prometheus.io/port": "metrics"}),
        pod(annotations={"prometheus.io/port": "70000"}),
    ],
)
def test_a_pod_that_cannot_or_will_not_be_scraped_is_left_out(left_out: dict[str, Any]) -> None:
    assert target_groups([left_out]) == []


def test_the_same_pods_give_the_same_file_in_whatever_order_they_are_seen() -> None:
    pods = [pod(name) for name in ("c", "a", "b")]
    assert target_groups(pods) == target_groups(reversed(pods))


def test_a_scrape_may_not_take_longer_than_the_time_to_the_next() -> None:
    assert configuration(Path("/x/targets.json"), timedelta(seconds=0.5)) == {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [
            {"job_name": "pods", "file_sd_configs": [{"files": ["/x/targets.json"]}]},
            {"job_name": "beside", "honor_labels": True, "file_sd_configs": [{"files": ["/x/beside.json"]}]},
        ],
    }
    assert configuration(Path("/x"), timedelta(seconds=60))["global"]["scrape_timeout"] == "10000ms"
