"""What an operator process is told at its start: flags before environment before defaults."""

from __future__ import annotations

import argparse
import re
import shlex
from pathlib import Path

import pytest

from modelrollout.objects.access import Integration
from modelrollout.shell import settings as operator_settings
from modelrollout.shell.settings import ALONE, Settings
from tests.places import ROOT


def told(*arguments: str, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    operator_settings.add_flags(parser)
    return operator_settings.from_flags(parser.parse_args(arguments), environment)


def test_nothing_told_is_the_whole_cluster_with_defaults() -> None:
    assert told() == Settings()


def test_flags_come_before_the_environment() -> None:
    settings = told("--port", "9000", MODELROLLOUT_PORT="9001", MODELROLLOUT_LOG_FORMAT="text")
    assert (settings.port, settings.log_format) == (9000, "text")


def test_namespaces_are_separated_by_commas() -> None:
    assert told("--namespaces", "ml, fraud").namespaces == ("ml", "fraud")


def test_what_is_left_alone_is_separated_by_commas() -> None:
    assert told("--without", "istio, statefulSets").without == (Integration.ISTIO, Integration.STATEFUL_SETS)
    assert told(MODELROLLOUT_WITHOUT="gatewayAPI").without == (Integration.GATEWAY_API,)


def test_prometheus_is_shown_nothing_unless_told() -> None:
    assert told("--prometheus-url", "http://prometheus").prometheus_credentials is None
    assert told("--prometheus-credentials", "/prometheus").prometheus_credentials == Path("/prometheus")


def test_specs_may_name_services_of_their_namespace_and_of_monitoring_unless_told_otherwise() -> None:
    assert [one.text for one in told().addresses.others] == ["*.{{namespace}}.svc", "*.monitoring.svc"]
    assert told("--prometheus-allowed", "none").addresses.others == ()


def test_nobody_is_told_of_all_rollouts_unless_a_file_says_who() -> None:
    assert told().notifications is None
    settings = told("--notifications", "/targets.yaml", "--link-template", "https://grafana.example/{{ rollout }}")
    assert settings.notifications == Path("/targets.yaml")
    assert settings.link_template == "https://grafana.example/{{ rollout }}"


def test_there_is_no_webhook_without_certificates() -> None:
    assert told("--webhook-port", "9000").webhook_certificates is None
    settings = told("--webhook-certificates", "/certificates")
    assert (settings.webhook_certificates, settings.webhook_port) == (Path("/certificates"), 9443)


@pytest.mark.parametrize(
    ("arguments", "flag"),
    [
        (("--port", "many"), "--port"),
        (("--webhook-port", "70000"), "--webhook-port"),
        (("--prometheus-url", "prometheus:9090"), "--prometheus-url"),
        (("--prometheus-allowed", "http://prometheus.monitoring.svc/path"), "--prometheus-allowed"),
        (("--prometheus-allowed", "*.monitoring.svc,169.254.169.254"), "--prometheus-allowed"),
        (("--resync", "often"), "--resync"),
        (("--log-level", "loud"), "--log-level"),
        (("--without", "istio,linkerd"), "--without"),
        (("--lease", "Model Rollout"), "--lease"),
        (("--lease-duration", "1s"), "--lease-duration"),
        (("--link-template", "https://grafana.example/{{ password }}"), "--link-template"),
    ],
)
def test_a_wrong_value_names_its_flag_and_its_variable(arguments: tuple[str, str], flag: str) -> None:
    with pytest.raises(ValueError, match=rf"^{flag} \(or \$MODELROLLOUT_"):
        told(*arguments)


def test_an_operator_leads_by_a_lease_unless_it_is_told_that_it_is_alone() -> None:
    assert told().leader_election
    assert not told("--no-leader-election").leader_election
    assert not told(MODELROLLOUT_LEADER_ELECTION="false").leader_election


def test_an_operator_believes_no_name_beside_an_action_unless_it_is_told_that_a_policy_checks_it() -> None:
    assert not told().require_approvers
    assert told("--require-approvers").require_approvers
    assert told(MODELROLLOUT_REQUIRE_APPROVERS="true").require_approvers


def test_the_page_on_several_operators_has_flags_that_there_are_and_their_defaults() -> None:
    page = (ROOT / "docs/high-availability.md").read_text()
    commands = re.findall("^modelrollout run (.*)$", page, re.MULTILINE)
    shards = [told(*shlex.split(command)) for command in commands]
    assert [each.namespaces for each in shards] == [("fraud", "ranking"), ("search",)]
    assert len({each.lease for each in shards}) == 2
    assert f"| `--lease` | `{Settings().lease}` |" in page
    assert f"| `--lease-duration` | `{Settings().lease_duration}` |" in page
    assert f"| `{ALONE}` |" in page
