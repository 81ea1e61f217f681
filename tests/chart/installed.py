"""The chart, installed by Helm on a real kube-apiserver with RBAC: an operator with nothing but its ServiceAccount.

The API server keeps an audit log of all that this account asks for.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from kubernetes.aio import client, config

from demo.operator_process import Operator, operator
from demo.playground import images
from localcluster import kubeconfigs
from localcluster.cluster import LocalCluster, local_cluster
from localcluster.controllers.manager import manager_program
from localcluster.gateway import EnvoyMissingError
from localcluster.metrics import PrometheusMissingError
from tests.chart.helm import NAMESPACE, RELEASE, Values, container, program, rendered
from tests.places import ROOT

Right = tuple[str, str, str]
"""A group, a resource and a verb."""
ACCOUNT = f"system:serviceaccount:{NAMESPACE}"
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata", "userGroups": [f"system:serviceaccounts:{NAMESPACE}"]}, {"level": "None"}],
}
PLAIN = {"test/plain": ROOT / "tests/integration/images/plain"}
VIRTUAL_SERVICES = ROOT / "tests/contract/routers/virtualservices.yaml"
SCALED_OBJECTS = ROOT / "tests/contract/kinds/scaledobjects.yaml"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the operator's, as the API server noted it."""

    right: Right
    namespace: str
    code: int
    what: str

    @property
    def rights(self) -> set[Right]:
        """Server-side apply that makes an object is allowed as a patch and as a create."""
        group, resource, verb = self.right
        return {self.right, (group, resource, "create")} if (verb, self.code) == ("patch", 201) else {self.right}


@dataclass(frozen=True, slots=True)
class Site:
    """A cluster without our chart."""

    local: LocalCluster
    audit: Path

    def helm(self, *arguments: str, values: Values | None = None) -> str:
        kubeconfig = ("--kubeconfig", str(self.local.kubernetes.kubeconfig), "--namespace", NAMESPACE)
        command = [str(program()), *arguments, *kubeconfig, *(["--values", "-"] if values is not None else [])]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
        made = subprocess.run(  # noqa: S603
            command, input=json.dumps(values), capture_output=True, text=True, timeout=120, env=environment
        )
        assert made.returncode == 0, made.stderr
        return made.stdout

    def asked(self) -> Iterator[Asked]:
        """All that the chart's accounts asked for, but for what every account may: the list of API groups."""
        for line in self.audit.read_text().splitlines():
            event = json.loads(line)
            if (ref := event.get("objectRef")) is None:
                continue
            resource = "/".join(filter(None, (ref["resource"], ref.get("subresource"))))
            right = (ref.get("apiGroup", ""), resource, event["verb"])
            code = event["responseStatus"]["code"]
            yield Asked(right, ref.get("namespace", ""), code, f"{event['verb']} {event['requestURI']}")

    @asynccontextmanager
    async def operator(self, values: Values, log: Path, release: str = RELEASE) -> AsyncIterator[Operator]:
        """The process that the chart's Deployment describes, on this machine, as the chart's ServiceAccount."""
        kubeconfig = log.with_suffix(".kubeconfig")
        await self._write_kubeconfig(kubeconfig, release)
        _, *flags = container(rendered(values, release))["args"]
        flags.append("--webhook-port=0")  # several processes share this machine
        async with operator(kubeconfig, self.local.metrics.url, log, flags) as running:
            yield running

    async def _write_kubeconfig(self, path: Path, account: str) -> None:
        kubernetes = self.local.kubernetes
        api = await config.new_client_from_config(  # type: ignore[no-untyped-call]
            config_file=str(kubernetes.kubeconfig), persist_config=False
        )
        async with api:
            core = client.CoreV1Api(api)
            request = client.AuthenticationV1TokenRequest(
                spec=client.V1TokenRequestSpec(audiences=["https://kubernetes.default.svc"], expiration_seconds=3600)
            )
            made = await core.create_namespaced_service_account_token(account, NAMESPACE, request)
        authority = yaml.safe_load(kubernetes.kubeconfig.read_text())["clusters"][0]["cluster"]
        kubeconfigs.write_own(path, kubernetes.url, Path(authority["certificate-authority"]), made.status.token)


def flags(directory: Path) -> list[str]:
    policy = directory / "audit-policy.yaml"
    policy.write_text(json.dumps(POLICY))
    return [
        f"--audit-policy-file={policy}",
        f"--audit-log-path={directory / 'audit.log'}",
        # As in OpenShift: who sets blockOwnerDeletion needs a right of its own.
        "--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
    ]


@asynccontextmanager
async def site(directory: Path) -> AsyncIterator[Site]:
    """A cluster to install the chart in; the test is skipped where there are no programs for one."""
    if program() is None:
        pytest.skip("no helm: `make tools` fetches it where there is npm")
    if manager_program() is None:
        pytest.skip("no kube-controller-manager in the folder that KUBEBUILDER_ASSETS names")
    others = [yaml.safe_load(path.read_text()) for path in (VIRTUAL_SERVICES, SCALED_OBJECTS)]
    more = flags(directory)
    try:
        async with local_cluster(directory, images=images(PLAIN), definitions=others, flags=more) as local:
            await local.cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            yield Site(local, directory / "audit.log")
    except (PrometheusMissingError, EnvoyMissingError) as missing:
        pytest.skip(str(missing))
