"""The settings of an operator process: flags, each with an environment variable. Reads no cluster."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from modelrollout.api.addresses import IN_THE_CLUSTER, OWN_ALONE, AllowedAddresses
from modelrollout.api.names import Name, Namespace
from modelrollout.api.notifications import FIELDS
from modelrollout.api.placeholders import require_known
from modelrollout.api.scalars import Duration
from modelrollout.objects.access import Integration

PREFIX = "MODELROLLOUT_"
SHORTEST_LEASE = timedelta(seconds=3)
"""Below that a busy machine loses its Lease now and then."""


def _long_enough(duration: Duration) -> Duration:
    if duration.timedelta < SHORTEST_LEASE:
        raise ValueError(f"a lease lasts for {SHORTEST_LEASE.total_seconds():g}s at least")
    return duration


def _fills_known_fields(link: str) -> str:
    require_known(link, [name for name in FIELDS if name != "link"], where="a link")  # raises a ValueError
    return link


def _addresses(texts: tuple[str, ...]) -> tuple[str, ...]:
    AllowedAddresses.parse(None, texts)
    return texts


class Settings(BaseModel):
    """How one operator process runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    namespaces: tuple[str, ...] = ()  # none: the whole cluster
    without: tuple[Integration, ...] = ()
    comparer_image: str | None = None  # none: no stage can compare answers
    prometheus_url: Annotated[str | None, Field(pattern=r"^https?://.+")] = None
    prometheus_credentials: Path | None = None
    notifications: Path | None = None
    link_template: Annotated[str | None, AfterValidator(_fills_known_fields)] = None
    prometheus_allowed: Annotated[tuple[str, ...], AfterValidator(_addresses)] = IN_THE_CLUSTER
    kubeconfig: Path | None = None
    context: str | None = None
    host: str = "0.0.0.0"  # noqa: S104 - the kubelet probes a pod from outside
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    webhook_certificates: Path | None = None
    webhook_configuration: Name | None = None  # neither: no webhook
    webhook_port: Annotated[int, Field(ge=0, le=65535)] = 9443
    log_format: Literal["json", "text"] = "json"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    metrics_rollouts: Annotated[int, Field(ge=0)] = 1000
    resync: Duration = Duration("5m")
    leader_election: bool = True
    require_approvers: bool = False
    lease: Name = "modelrollout"
    lease_namespace: Namespace | None = None
    lease_duration: Annotated[Duration, AfterValidator(_long_enough)] = Duration("15s")

    @property
    def addresses(self) -> AllowedAddresses:
        """The addresses of a Prometheus that are asked."""
        return AllowedAddresses.parse(self.prometheus_url, self.prometheus_allowed)

    @property
    def resync_every(self) -> timedelta:
        return self.resync.timedelta


_HELP = {
    "namespaces": "namespaces to serve, separated by commas; the whole cluster when left out",
    "without": "what the operator is not to touch, and needs no permissions for, separated by commas: "
    + ", ".join(Integration),
    "prometheus_url": "Prometheus to ask where spec.analysis.prometheus says no other",
    "prometheus_credentials": "folder with what that Prometheus, and no other, is shown: token, or username and "
    "password; headers, one a line; ca.crt",
    "notifications": "file with targets that are told of all rollouts (docs/notifications.md)",
    "link_template": "link in notifications, such as https://grafana.example/d/1?var-rollout={{ rollout }}",
    "prometheus_allowed": "addresses beside it that spec.analysis.prometheus may name, separated by commas, each like "
    f"[scheme://]host[:port], where * stands for one label of a host; {OWN_ALONE}: that Prometheus alone",
    "comparer_image": "image with modelrollout in it, mostly the operator's own, for stages that compare answers",
    "kubeconfig": "kubeconfig to use; in a pod its service account, else $KUBECONFIG or ~/.kube/config",
    "context": "context of the kubeconfig",
    "host": "address that /healthz, /metrics and the webhook are served on",
    "port": "port that /healthz and /metrics are served on",
    "webhook_certificates": "folder with tls.crt and tls.key, for the admission webhook that warns",
    "webhook_configuration": "name of a ValidatingWebhookConfiguration, for that webhook with a certificate of its "
    "own: it is made, renewed and written into caBundle; without either of these two there is no webhook",
    "webhook_port": "port that the admission webhook is served on",
    "log_format": "json (for machines) or text",
    "log_level": "debug, info, warning or error",
    "metrics_rollouts": "most rollouts that /metrics shows one by one, those in release first",
    "resync": "look at every rollout at least this often, even if nothing seems to have happened",
    "lease": "name of the Lease by which one of several processes leads",
    "lease_namespace": "namespace of that Lease; in a pod its own, else that of the kubeconfig's context",
    "lease_duration": "time after which another process leads when the leader falls silent",
}
_LISTS = ("namespaces", "without", "prometheus_allowed")
ALONE = "--no-leader-election"
_SWITCHES = {  # the flag, the value that it sets, and its help
    "require_approvers": (
        "--require-approvers",
        "true",
        "take an action only with its author in modelrollout.dev/action-by, where an admission policy lets nobody "
        "write another name than his own (the chart's rbac.requireApprovers)",
    ),
    "leader_election": (ALONE, "false", "write without holding a Lease, where no other process can be running"),
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    for name, text in _HELP.items():
        default = Settings.model_fields[name].default
        value = ",".join(default) if isinstance(default, tuple) else default
        shown = f" (default {value})" if default not in (None, ()) else ""
        parser.add_argument(_flag(name), metavar="VALUE", help=f"{text}{shown}; ${PREFIX}{name.upper()}")
    for name, (flag, value, text) in _SWITCHES.items():
        shown = f"{text}; ${PREFIX}{name.upper()}={value}"
        parser.add_argument(flag, dest=name, action="store_const", const=value, help=shown)


def from_flags(flags: argparse.Namespace, environment: Mapping[str, str] = os.environ) -> Settings:
    """Flags before environment before defaults. Raises ValueError with a sentence that names the flag."""
    given: dict[str, str | Sequence[str]] = {}
    for name in (*_HELP, *_SWITCHES):
        value = getattr(flags, name, None) or environment.get(PREFIX + name.upper())
        if value:
            given[name] = [part.strip() for part in value.split(",")] if name in _LISTS else value
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise ValueError(f"{_flag(name)} (or ${PREFIX}{name.upper()}): {first['msg']}") from None


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
